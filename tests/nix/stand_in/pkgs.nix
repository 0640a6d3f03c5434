# What WarmCI's modules and package use of nixpkgs' package set. Nothing is built and no store is needed: a package is
# a name with a path, and what would be a file in the store carries its text.
{ lib, plain }:
let
  inherit (builtins)
    concatStringsSep
    hashString
    isAttrs
    isBool
    isList
    isString
    substring
    toJSON
    ;

  stored = name: text: "/nix/store/${substring 0 32 (hashString "sha256" "${name}:${text}")}-${name}";

  file = name: text: {
    type = "derivation";
    outPath = stored name text;
    inherit name text;
  };

  package = name: {
    type = "derivation";
    outPath = stored name "package";
    inherit name;
    meta.mainProgram = name;
  };

  scalar =
    value:
    if isString value || builtins.isPath value then
      toJSON (toString value)
    else if isBool value then
      lib.boolToString value
    else if isList value then
      "[${concatStringsSep ", " (map scalar value)}]"
    else
      toString value;

  # Tables after plain keys, as TOML wants it.
  toml =
    prefix: set:
    let
      plainKeys = lib.filterAttrs (_: value: !isAttrs value) set;
      tables = lib.filterAttrs (_: isAttrs) set;
    in
    concatStringsSep "" (
      lib.mapAttrsToList (name: value: "${name} = ${scalar value}\n") plainKeys
      ++ lib.mapAttrsToList (
        name: table: "\n[${concatStringsSep "." (prefix ++ [ name ])}]\n${toml (prefix ++ [ name ]) table}"
      ) tables
    );

  names = [
    "coreutils"
    "curl"
    "docker"
    "docker-client"
    "e2fsprogs"
    "findutils"
    "git"
    "gnugrep"
    "gnused"
    "haproxy"
    "makeWrapper"
    "openssl"
    "systemd"
    "util-linux"
  ];

  pkgs = lib.genAttrs names package // {
    inherit lib;

    callPackage =
      path: overrides:
      let
        f = import path;
      in
      f (builtins.intersectAttrs (builtins.functionArgs f) pkgs // overrides);

    python3Packages = {
      buildPythonApplication = arguments: package arguments.pname // { inherit arguments; inherit (arguments) meta; };
    }
    // lib.genAttrs [
      "docker"
      "google-re2"
      "hatch-vcs"
      "hatchling"
      "httpcore"
      "httpx"
      "pydantic"
      "pydantic-settings"
      "pytest"
      "pyyaml"
      "rich"
      "typer"
    ] package;

    writeText = file;
    writeShellScript =
      name: text:
      file name "#!/bin/sh\n${text}"
      // lib.optionalAttrs plain { outPath = "/usr/local/lib/warmci/${lib.removePrefix "warmci-" name}"; };
    runCommand = name: _: file name;

    formats.toml = _: {
      type =
        let
          value =
            lib.types.oneOf [
              lib.types.bool
              lib.types.int
              lib.types.float
              lib.types.str
              lib.types.path
              (lib.types.attrsOf value)
              (lib.types.listOf value)
            ]
            // {
              description = "TOML value";
            };
        in
        value;
      generate = name: value: file name (toml [ ] value);
    };
  };
in
pkgs
