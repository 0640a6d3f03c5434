# The WarmCI package: `callPackage ./nix/package.nix { }` in a flake or an overlay.
{
  lib,
  python3Packages,
  makeWrapper,
  coreutils,
  docker-client,
  e2fsprogs,
  git,
  haproxy,
  openssl,
  util-linux,
}:

python3Packages.buildPythonApplication {
  pname = "warmci";
  inherit ((lib.importTOML ../pyproject.toml).project) version;
  pyproject = true;
  src = lib.cleanSource ../.;

  build-system = [ python3Packages.hatchling ];
  nativeBuildInputs = [ makeWrapper ];
  dependencies = with python3Packages; [
    docker
    google-re2
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
        coreutils
        docker-client
        e2fsprogs
        git
        haproxy
        openssl
        util-linux
      ]
    }"
  ];

  meta = {
    description = "Recipe CI for Co-op Cloud";
    license = lib.licenses.gpl3Plus;
    mainProgram = "warmci";
  };
}
