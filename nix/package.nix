# The WarmCI package: `callPackage ./nix/package.nix { }` in a flake or an overlay.
{
  lib,
  python3Packages,
  makeWrapper,
  docker,
  git,
  util-linux,
  iproute2,
}:

python3Packages.buildPythonApplication {
  pname = "warmci";
  version = "0.1.0";
  pyproject = true;
  src = lib.cleanSource ../.;

  build-system = [ python3Packages.hatchling ];
  nativeBuildInputs = [ makeWrapper ];
  dependencies = with python3Packages; [
    docker
    httpcore
    httpx
    pydantic
    pydantic-settings
    pytest
    pyyaml
    rich
    typer
  ];

  # The tests start engines of their own, which a build sandbox does not allow.
  doCheck = false;
  pythonImportsCheck = [ "warmci" ];

  makeWrapperArgs = [
    "--prefix PATH : ${
      lib.makeBinPath [
        docker
        git
        util-linux
        iproute2
      ]
    }"
  ];

  meta = {
    description = "Recipe CI for Co-op Cloud";
    license = lib.licenses.gpl3Plus;
    mainProgram = "warmci";
  };
}
