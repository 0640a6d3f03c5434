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
  rev ? "",
}:

python3Packages.buildPythonApplication {
  pname = "warmci";
  # A flake's source has no tags.
  version = (lib.importTOML ../pyproject.toml).tool.hatch.version.fallback-version;
  pyproject = true;
  src = lib.cleanSource ../.;

  build-system = with python3Packages; [
    hatch-vcs
    hatchling
  ];
  # As hatch_build.py does where there is git.
  postPatch = lib.optionalString (rev != "") "echo ${rev} > src/warmci/commit";
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
