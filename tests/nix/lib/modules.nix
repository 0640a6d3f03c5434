# Module evaluation: imports, options, mkIf/mkMerge/mkOverride, types, free-form parts, unknown names refused.
{ lib }:
let
  inherit (builtins)
    attrNames
    concatLists
    concatMap
    elem
    filter
    foldl'
    functionArgs
    head
    intersectAttrs
    isAttrs
    isFunction
    isPath
    isString
    map
    mapAttrs
    removeAttrs
    ;
  inherit (lib) showOption;

  isOption = value: value._type or null == "option";
  propertyOf = value: if isAttrs value then value._type or "" else "";

  # A module as { file, imports, options, config, freeformType }, whichever way it is written.
  normalise =
    args: file: module:
    if isPath module || isString module then
      normalise args module (import module)
    else if isFunction module then
      let
        wanted = functionArgs module;
      in
      normalise args file (module (if wanted == { } then args else intersectAttrs wanted args))
    else
      let
        known = [
          "_file"
          "config"
          "freeformType"
          "imports"
          "key"
          "meta"
          "options"
        ];
        foreign = filter (name: !elem name known) (attrNames module);
        full = module ? options || module ? config;
      in
      if full && foreign != [ ] then
        throw "Module `${toString file}' has an unsupported attribute `${head foreign}'."
      else
        {
          file = module._file or file;
          imports = module.imports or [ ];
          options = module.options or { };
          config = if full then module.config or { } else removeAttrs module [ "_file" "imports" "key" "meta" "freeformType" ];
          freeformType = module.freeformType or null;
        };

  collect =
    args: file: module:
    let
      this = normalise args file module;
    in
    [ this ] ++ concatMap (collect args this.file) this.imports;

  # One tree of all declarations.
  declare =
    loc: trees:
    mapAttrs (
      name: declared:
      let
        here = loc ++ [ name ];
      in
      if builtins.any isOption declared then
        if builtins.length declared > 1 then
          throw "The option `${showOption here}' is declared twice."
        else
          head declared
      else
        declare here declared
    ) (builtins.zipAttrsWith (_: declared: declared) trees);

  # Pushes conditions and priorities down into attribute names, without looking at the condition.
  pushDown =
    value:
    {
      "if" = map (mapAttrs (_: lib.mkIf value.condition)) (pushDown value.content);
      merge = concatMap pushDown value.contents;
      override = map (mapAttrs (_: lib.mkOverride value.priority)) (pushDown value.content);
    }
    .${propertyOf value} or [ value ];

  pushDownDefs =
    defs: concatMap (def: map (value: { inherit (def) file; inherit value; }) (pushDown def.value)) defs;

  # Conditions decided, merges flattened; only overrides are left.
  discharge =
    def:
    {
      "if" = if def.value.condition then discharge (def // { value = def.value.content; }) else [ ];
      merge = concatMap (value: discharge (def // { inherit value; })) def.value.contents;
    }
    .${propertyOf def.value} or [ def ];

  priorityOf = def: if propertyOf def.value == "override" then def.value.priority else 100;

  # What counts: the definitions of the best priority.
  winning =
    defs:
    let
      all = concatMap discharge defs;
      best = foldl' (low: def: if priorityOf def < low then priorityOf def else low) 9999 all;
      bare = def: if propertyOf def.value == "override" then def // { value = def.value.content; } else def;
    in
    concatMap (def: discharge (bare def)) (filter (def: priorityOf def == best) all);

  mergeTyped =
    loc: type: defs:
    let
      wrong = filter (def: !type.check def.value) defs;
    in
    if wrong != [ ] then
      throw "A definition for option `${showOption loc}' is not of type `${type.description}'. Definitions: ${lib.showFiles wrong}"
    else
      type.merge loc defs;

  valueOf =
    loc: option: defs:
    let
      default = lib.optional (option ? default) {
        file = "default of ${showOption loc}";
        value = lib.mkOptionDefault option.default;
      };
      found = winning (defs ++ default);
    in
    if found == [ ] then
      throw "The option `${showOption loc}' was accessed but has no value defined. Try setting the option."
    else
      mergeTyped loc (option.type or lib.types.unspecified) found;

  byName = defs: builtins.zipAttrsWith (_: named: named) (
    map (def: mapAttrs (_: value: { inherit (def) file; inherit value; }) def.value) defs
  );

  # { config, unknown } of a tree of options; unknown is found by structure alone, also below a false mkIf.
  resolve =
    loc: tree: defs:
    let
      named = byName (pushDownDefs defs);
      child =
        name: declared:
        let
          here = loc ++ [ name ];
        in
        if isOption declared then
          {
            config = valueOf here declared (named.${name} or [ ]);
            unknown = [ ];
          }
        else
          resolve here declared (named.${name} or [ ]);
      children = mapAttrs child tree;
      foreign = filter (name: !(tree ? ${name})) (attrNames named);
    in
    {
      config = mapAttrs (_: part: part.config) children;
      unknown =
        map (name: {
          loc = loc ++ [ name ];
          defs = named.${name};
        }) foreign
        ++ concatLists (map (name: children.${name}.unknown) (attrNames tree));
    };

  evalModules =
    {
      modules,
      specialArgs ? { },
      prefix ? [ ],
      class ? null,
    }:
    let
      args = specialArgs // {
        inherit lib;
        inherit (result) config options;
      };
      found = concatMap (collect args "<unknown>") modules;
      freeform = foldl' (known: module: if module.freeformType == null then known else module.freeformType) null found;
      options = declare prefix (map (module: module.options) found);
      # Later modules come first, as in nixpkgs: it shows in lists that several define.
      resolved = resolve prefix options (
        lib.lists.reverse (
          map (module: {
            inherit (module) file;
            value = module.config;
          }) found
        )
      );
      first = head resolved.unknown;
      checked =
        if resolved.unknown == [ ] || freeform != null then
          resolved.config
        else
          throw "The option `${showOption first.loc}' does not exist. Definition values: ${lib.showFiles first.defs}";
      extra = mergeTyped prefix freeform (
        map (part: {
          inherit (head part.defs) file;
          value.${head (lib.lists.drop (builtins.length prefix) part.loc)} = lib.mkMerge (map (def: def.value) part.defs);
        }) resolved.unknown
      );
      result = {
        inherit options;
        config = if freeform == null || resolved.unknown == [ ] then resolved.config else extra // resolved.config;
      };
    in
    {
      inherit options;
      config = if freeform == null then checked else result.config;
    };
in
{
  inherit
    evalModules
    mergeTyped
    pushDownDefs
    byName
    winning
    isOption
    ;
}
