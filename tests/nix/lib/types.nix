# The option types that WarmCI's modules name. A type is { name, description, check, merge }, as in nixpkgs.
{ lib }:
let
  inherit (builtins)
    all
    any
    concatMap
    elem
    filter
    head
    isAttrs
    isBool
    isFloat
    isInt
    isList
    isPath
    isString
    map
    mapAttrs
    match
    substring
    ;
  inherit (lib) mergeEqualOption;

  mkOptionType =
    {
      name,
      description ? name,
      check ? _: true,
      merge ? mergeEqualOption,
    }:
    {
      _type = "option-type";
      inherit
        name
        description
        check
        merge
        ;
    };

  simple = name: check: mkOptionType { inherit name check; };
  stringLike = value: isString value || isPath value || value ? outPath;
  absolute = value: substring 0 1 (toString value) == "/";

  either =
    first: second:
    mkOptionType {
      name = "either";
      description = "${first.description} or ${second.description}";
      check = value: first.check value || second.check value;
      merge =
        loc: defs:
        if all (def: first.check def.value) defs then
          first.merge loc defs
        else if all (def: second.check def.value) defs then
          second.merge loc defs
        else
          mergeEqualOption loc defs;
    };
in
rec {
  inherit mkOptionType either;
  unspecified = simple "unspecified" (_: true);
  bool = simple "boolean" isBool;
  int = simple "signed integer" isInt;
  float = simple "floating point number" isFloat;
  str = simple "string" isString;
  ints.positive = simple "positive integer, meaning >0" (value: isInt value && value > 0);
  path = simple "absolute path" (value: stringLike value && absolute value);
  externalPath = simple "absolute path not in the Nix store" (
    value: isString value && absolute value && !lib.hasStorePathPrefix value
  );
  package = simple "package" (value: lib.isDerivation value || lib.isStorePath (toString value));
  enum = values: simple "one of ${builtins.toJSON values}" (value: elem value values);
  strMatching =
    pattern: simple "string matching the pattern ${pattern}" (value: isString value && match pattern value != null);

  oneOf = types: builtins.foldl' either (head types) (builtins.tail types);

  nullOr =
    type:
    mkOptionType {
      name = "nullOr";
      description = "null or ${type.description}";
      check = value: value == null || type.check value;
      merge =
        loc: defs:
        if all (def: def.value == null) defs then
          null
        else if any (def: def.value == null) defs then
          throw "The option `${lib.showOption loc}' is defined both null and not null."
        else
          type.merge loc defs;
    };

  listOf =
    type:
    mkOptionType {
      name = "listOf";
      description = "list of ${type.description}";
      check = isList;
      merge =
        loc: defs:
        concatMap (
          def:
          concatMap (
            value:
            let
              found = lib.winning [ { inherit (def) file; inherit value; } ];
            in
            lib.optional (found != [ ]) (lib.mergeTyped (loc ++ [ "[definition of ${toString def.file}]" ]) type found)
          ) def.value
        ) defs;
    };

  attrsOf =
    type:
    mkOptionType {
      name = "attrsOf";
      description = "attribute set of ${type.description}";
      check = isAttrs;
      merge =
        loc: defs:
        let
          named = mapAttrs (_: lib.winning) (lib.byName (lib.pushDownDefs defs));
        in
        mapAttrs (name: lib.mergeTyped (loc ++ [ name ]) type) (lib.filterAttrs (_: found: found != [ ]) named);
    };

  submodule =
    module:
    mkOptionType {
      name = "submodule";
      check = value: isAttrs value || builtins.isFunction value || isPath value;
      merge =
        loc: defs:
        (lib.evalModules {
          prefix = loc;
          specialArgs.name = lib.lists.last loc;
          modules = [ module ] ++ map (def: { _file = def.file; config = def.value; }) defs;
        }).config;
    };
}
