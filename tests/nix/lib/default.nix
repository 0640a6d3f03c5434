# A small stand-in for nixpkgs' lib: what WarmCI's modules use of it, with the same names, arguments and meaning.
# The tests run with the real one too, where WARMCI_NIXPKGS_LIB names it, and expect the same units byte for byte.
let
  inherit (builtins)
    attrNames
    concatMap
    concatStringsSep
    elemAt
    filter
    isString
    listToAttrs
    map
    match
    replaceStrings
    stringLength
    substring
    ;

  strings = rec {
    inherit concatStringsSep stringLength substring;
    boolToString = value: if value then "true" else "false";
    concatMapStringsSep =
      separator: f: values:
      concatStringsSep separator (map f values);
    escapeShellArg =
      value:
      if match "[[:alnum:],._+:@%/-]+" (toString value) != null then
        toString value
      else
        "'${replaceStrings [ "'" ] [ "'\\''" ] (toString value)}'";
    hasPrefix = prefix: text: substring 0 (stringLength prefix) text == prefix;
    hasSuffix =
      suffix: text:
      let
        start = stringLength text - stringLength suffix;
      in
      start >= 0 && substring start (stringLength suffix) text == suffix;
    makeBinPath = packages: concatMapStringsSep ":" (package: "${package}/bin") packages;
    optionalString = condition: text: if condition then text else "";
    removePrefix =
      prefix: text:
      if hasPrefix prefix text then substring (stringLength prefix) (-1) text else text;
  };

  attrsets = rec {
    inherit (builtins) attrNames attrValues mapAttrs;
    filterAttrs =
      keep: set:
      removeAttrs set (filter (name: !(keep name set.${name})) (attrNames set));
    genAttrs =
      names: f:
      listToAttrs (
        map (name: {
          inherit name;
          value = f name;
        }) names
      );
    isDerivation = value: value.type or null == "derivation";
    mapAttrs' = f: set: listToAttrs (map (name: f name set.${name}) (attrNames set));
    mapAttrsToList = f: set: map (name: f name set.${name}) (attrNames set);
    nameValuePair = name: value: { inherit name value; };
    optionalAttrs = condition: set: if condition then set else { };
  };

  lists = {
    inherit (builtins)
      all
      any
      concatLists
      concatMap
      elem
      filter
      head
      map
      ;
    drop = count: values: builtins.genList (index: elemAt values (index + count)) (builtins.length values - count);
    last = values: elemAt values (builtins.length values - 1);
    optional = condition: value: if condition then [ value ] else [ ];
    optionals = condition: values: if condition then values else [ ];
    reverse = values: builtins.genList (index: elemAt values (builtins.length values - 1 - index)) (builtins.length values);
    toList = value: if builtins.isList value then value else [ value ];
    unique = builtins.foldl' (seen: value: if builtins.elem value seen then seen else seen ++ [ value ]) [ ];
  };

  files = {
    cleanSource = path: path;
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    # The main program of a package.
    getExe = package: "${package}/bin/${package.meta.mainProgram or (throw "a package without meta.mainProgram")}";
    getExe' = package: name: "${package}/bin/${name}";
    licenses.gpl3Plus.spdxId = "GPL-3.0-or-later";
  };

  options = rec {
    mkOption = attributes: attributes // { _type = "option"; };
    mkEnableOption =
      what:
      mkOption {
        default = false;
        example = true;
        description = "Whether to enable ${what}.";
        type = lib.types.bool;
      };
    literalExpression = text: {
      _type = "literalExpression";
      inherit text;
    };
    mergeEqualOption =
      loc: defs:
      let
        first = (builtins.head defs).value;
      in
      if builtins.all (def: def.value == first) defs then
        first
      else
        throw "The option `${showOption loc}' has conflicting definition values: ${lib.showFiles defs}";
    showOption = concatStringsSep ".";
  };

  properties = rec {
    mkIf = condition: content: {
      _type = "if";
      inherit condition content;
    };
    mkMerge = contents: {
      _type = "merge";
      inherit contents;
    };
    mkOverride = priority: content: {
      _type = "override";
      inherit priority content;
    };
    mkForce = mkOverride 50;
    mkDefault = mkOverride 1000;
    mkOptionDefault = mkOverride 1500;
  };

  lib =
    strings
    // attrsets
    // lists
    // files
    // options
    // properties
    // {
      inherit
        attrsets
        lists
        options
        strings
        ;
      isStorePath =
        value: isString value && match "/nix/store/[0-9a-z]{32}-[^/]+" value != null;
      hasStorePathPrefix = value: match "/nix/store(/.*)?" (toString value) != null;
      showFiles = defs: concatStringsSep ", " (lists.unique (map (def: toString def.file) defs));
      types = import ./types.nix { inherit lib; };
    }
    // import ./modules.nix { inherit lib; };
in
lib
