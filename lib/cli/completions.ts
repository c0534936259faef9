/**
 * Scripts by which a shell completes a program's commands, options and values. They are generated from the same
 * descriptions of commands as the help texts.
 *
 * @module
 */

import type { CommandSpec, OptionSpec } from "./command_spec.ts";

/** The supported shells. */
export const SHELLS = ["bash", "zsh", "fish"] as const;

/** One of {@linkcode SHELLS}. */
export type Shell = typeof SHELLS[number];

/** The command `completions` of a program, which prints such a script. */
export function completionsSpec(program: string) {
  return {
    name: `${program} completions`,
    usage: SHELLS.join("|"),
    summary: "Print a script that lets a shell complete the command line",
    details: `  bash: source <(${program} completions bash), in ~/.bashrc
  zsh:  source <(${program} completions zsh), in ~/.zshrc behind compinit
  fish: ${program} completions fish | source, in ~/.config/fish/config.fish`,
    arguments: { min: 1, max: 1, choices: SHELLS },
    options: { help: { kind: "flag", short: "h", help: "show this text" } },
  } as const satisfies CommandSpec;
}

/**
 * The completion script of a program.
 *
 * @param program its name
 * @param specs its commands, whose names begin with that of the program: `ferry put`
 */
export function renderCompletions(
  shell: Shell,
  program: string,
  specs: readonly CommandSpec[],
): string {
  const root = treeOf(program, specs);
  const head =
    `# Completions of ${program} for ${shell}, as "${program} completions ${shell}" prints them.`;
  switch (shell) {
    case "bash":
      return `${head}\n${bash(root)}`;
    case "zsh":
      // zsh needs this first line to recognize the file in a directory of functions.
      return `#compdef ${program}\n${head}\n${zsh(root)}`;
    case "fish":
      return `${head}\n${fish(root)}`;
  }
}

/** A command, or a word that begins the names of several. */
interface Command {
  /** The words of its name, that of the program first. */
  words: readonly string[];
  summary: string;
  options: readonly Option[];
  /** Its arguments. */
  argument: Value;
  /** The commands whose names continue with another word, by that word. */
  commands: Map<string, Command>;
}

interface Option {
  name: string;
  /** Its forms on the command line: `-s` and `--server`. */
  forms: readonly string[];
  help: string;
  /** Its value; undefined for a flag, and if it needs none. */
  value: Value | undefined;
  repeated: boolean;
}

/** What can be completed: one of several words, a local path, or nothing, since only the server knows the values. */
type Value =
  & { placeholder: string }
  & ({ kind: "words"; words: readonly string[] } | { kind: "files" | "directories" | "unknown" });

function treeOf(program: string, specs: readonly CommandSpec[]): Command {
  const root = emptyCommand([program]);
  const byName = [...specs].sort((a, b) => a.name < b.name ? -1 : 1);
  for (const spec of byName) {
    let at = root;
    for (const word of spec.name.split(" ").slice(1)) {
      const next = at.commands.get(word) ?? emptyCommand([...at.words, word]);
      at.commands.set(word, next);
      at = next;
    }
    at.summary = spec.summary;
    at.options = Object.entries(spec.options).map(([name, option]) => optionOf(name, option));
    at.argument = argumentOf(spec);
  }
  return root;
}

function emptyCommand(words: readonly string[]): Command {
  const argument = { kind: "unknown", placeholder: "" } as const;
  return { words, summary: "", options: [], argument, commands: new Map() };
}

function optionOf(name: string, spec: OptionSpec): Option {
  const { kind, short, help, value: placeholder = "VALUE", choices, completes, implied } = spec;
  const value: Value = choices
    ? { kind: "words", words: choices, placeholder }
    : { kind: completes ?? (isLocal(placeholder) ? "files" : "unknown"), placeholder };
  return {
    name,
    forms: short === undefined ? [`--${name}`] : [`-${short}`, `--${name}`],
    help,
    // What is only read behind a "=" is not completed.
    value: kind === "flag" || implied !== undefined ? undefined : value,
    repeated: kind === "list",
  };
}

function argumentOf({ usage, arguments: { max, choices } }: CommandSpec): Value {
  const placeholder = max === 0 ? "" : /^\[?([A-Z]+)/.exec(usage)?.[1] ?? "";
  if (choices) return { kind: "words", words: choices, placeholder };
  return { kind: isLocal(placeholder) ? "files" : "unknown", placeholder };
}

/** Whether a placeholder of the help texts stands for a local path. A NAME or a DIR is on the server. */
function isLocal(placeholder: string): boolean {
  return placeholder === "FILE" || placeholder === "PATH";
}

/** A command and all its subcommands. */
function* walk(command: Command): Generator<Command> {
  yield command;
  for (const child of command.commands.values()) yield* walk(child);
}

/** The words of a command without the program's name: "" for the program itself. */
function pathOf({ words }: Command): string {
  return words.slice(1).join(" ");
}

/** `_ferryd_token_new` */
function functionOf({ words }: Command): string {
  return `_${words.join("_").replaceAll("-", "_")}`;
}

function single(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function bash(root: Command): string {
  const [program] = root.words;
  const name = functionOf(root);
  const all = [...walk(root)];
  // macOS has bash 3.2, which has no compopt.
  return `${name}() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD - 1]}
  local command='' options='' words='' paths='' ended='' i
  COMPREPLY=()
  # "--name=value" is three words to bash.
  if [[ $current == = ]]; then current=''
  elif [[ $previous == = ]]; then previous=\${COMP_WORDS[COMP_CWORD - 2]}; fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    case "$command \${COMP_WORDS[i]}" in
    ${bashBeginnings(all)}) command="\${command:+$command }\${COMP_WORDS[i]}" ;;
    *) break ;;
    esac
  done
  for ((; i < COMP_CWORD; i++)); do
    if [[ \${COMP_WORDS[i]} == -- ]]; then ended=1 previous=''; fi
  done
  case $command in
${all.map(bashCommand).join("\n")}
  esac
  if [[ -z $ended && -n $options && $current == -* ]]; then words=$options paths=''; fi
  # With nothing to choose from, bash completes the names of files.
  [[ $paths == files ]] && return
  if [[ $paths == directories ]]; then
    local IFS=$'\\n'
    COMPREPLY=($(compgen -d -- "$current"))
    compopt -o filenames 2>/dev/null
  else
    COMPREPLY=($(compgen -W "$words" -- "$current"))
  fi
  if [[ \${#COMPREPLY[@]} == 0 ]]; then compopt +o default +o bashdefault 2>/dev/null; fi
}
complete -o bashdefault -o default -F ${name} ${program}
`;
}

/** The beginnings of command lines up to each word of a command. */
function bashBeginnings([, ...commands]: readonly Command[]): string {
  return commands
    .map(({ words }) => single(`${words.slice(1, -1).join(" ")} ${words.at(-1)}`))
    .join(" | ");
}

function bashCommand(command: Command): string {
  const { options, argument, commands } = command;
  const values = options.flatMap(({ forms, value }) =>
    value ? [`    ${forms.join(" | ")}) options='' ${bashValue(value)} ;;`] : []
  );
  const choice = commands.size > 0 ? wordsOf([...commands.keys()], argument) : argument;
  return [
    `  ${single(pathOf(command))})`,
    `    options=${single(options.map(({ name }) => `--${name}`).join(" "))}`,
    "    case $previous in",
    ...values,
    `    *) ${bashValue(choice)} ;;`,
    "    esac",
    "    ;;",
  ].join("\n");
}

function wordsOf(words: readonly string[], { placeholder }: Value): Value {
  return { kind: "words", words, placeholder };
}

function bashValue(value: Value): string {
  switch (value.kind) {
    case "words":
      return `words=${single(value.words.join(" "))}`;
    case "files":
    case "directories":
      return `paths=${value.kind}`;
    case "unknown":
      return "words=''";
  }
}

function zsh(root: Command): string {
  const [program] = root.words;
  const name = functionOf(root);
  return `${[...walk(root)].map(zshFunction).join("\n")}
# In a directory of functions this file is the function; elsewhere it says what it is for.
if [[ $zsh_eval_context[-1] == loadautofunc ]]; then ${name} "$@"; else compdef ${name} ${program}; fi
`;
}

function zshFunction(command: Command): string {
  const { options, argument, commands } = command;
  const specs = options.map(zshOption);
  if (commands.size === 0) {
    const none = argument.kind === "unknown" && argument.placeholder === "";
    const rest = none ? [] : [single(`*:${zshValue(argument)}`)];
    return `${functionOf(command)}() {
  _arguments -s -S ${[...specs, ...rest].join(" \\\n    ")}
}`;
  }
  const children = [...commands].map(([word, { summary }]) =>
    single(`${word}:${summary.replaceAll(":", "\\:")}`)
  );
  const cases = [...commands].map(([word, child]) => `    ${word}) ${functionOf(child)} ;;`);
  return `${functionOf(command)}() {
  local state line
  local -a commands=(
    ${children.join("\n    ")}
  )
  _arguments -C -s -S ${[...specs, "'1: :->command'", "'*:: :->argument'"].join(" \\\n    ")}
  case $state in
  command) _describe -t commands command commands ;;
  argument)
    case $words[1] in
${cases.join("\n")}
    esac
    ;;
  esac
}`;
}

function zshOption({ name, forms, help, value, repeated }: Option): string {
  const text = `[${help.replace(/[\\[\]:]/g, "\\$&")}]`;
  const behind = value ? `:${zshValue(value)}` : "";
  const [short] = forms;
  const long = value ? `--${name}=` : `--${name}`;
  const others = repeated ? "*" : forms.length > 1 ? `(${forms.join(" ")})` : "";
  if (forms.length === 1) return single(others + long + text + behind);
  return `${single(others)}{${short}${value ? "+" : ""},${long}}${single(text + behind)}`;
}

/** `message:action`. The action of a value that cannot be completed is a space. */
function zshValue(value: Value): string {
  const message = value.placeholder.replaceAll(":", "\\:") || " ";
  switch (value.kind) {
    case "words":
      return `${message}:(${value.words.join(" ")})`;
    case "files":
      return `${message}:_files`;
    case "directories":
      return `${message}:_files -/`;
    case "unknown":
      return `${message}: `;
  }
}

function fish(root: Command): string {
  const [program] = root.words;
  const all = [...walk(root)];
  const beginnings = all.slice(1)
    .map(({ words }) => single(`${words.slice(1, -1).join(" ")} ${words.at(-1)}`));
  const at = `_${functionOf(root)}_is`;
  return `function ${at} --description 'Whether the command so far is that one'
    set --local command ''
    set --local words (commandline --current-process --tokenize --cut-at-cursor)
    for word in $words[2..-1]
        switch "$command $word"
            case ${beginnings.join(" ")}
                set command (string trim "$command $word")
            case '*'
                break
        end
    end
    test "$command" = "$argv[1]"
end
complete --command ${program} --no-files
${all.flatMap((command) => fishCommand(command, at)).join("\n")}
`;
}

function fishCommand(command: Command, at: string): string[] {
  const [program] = command.words;
  const here = `complete --command ${program} --condition "${at} '${pathOf(command)}'"`;
  const { options, argument, commands } = command;
  const children = [...commands].map(([word, { summary }]) =>
    `${here} --arguments ${word} --description ${single(summary)}`
  );
  const own = options.map(({ name, forms, help, value }) => {
    const short = forms.length > 1 ? ` --short-option ${forms[0]!.slice(1)}` : "";
    const behind = value ? ` ${fishValue(value, { required: true })}` : "";
    return `${here}${short} --long-option ${name}${behind} --description ${single(help)}`;
  });
  const rest = commands.size === 0 && argument.kind !== "unknown"
    ? [`${here} ${fishValue(argument, { required: false })}`]
    : [];
  return [...children, ...own, ...rest];
}

function fishValue(value: Value, { required }: { required: boolean }): string {
  switch (value.kind) {
    case "words":
      return `${required ? "--exclusive " : ""}--arguments ${single(value.words.join(" "))}`;
    case "files":
      return required ? "--require-parameter --force-files" : "--force-files";
    case "directories":
      return `${required ? "--exclusive " : ""}--arguments '(__fish_complete_directories)'`;
    case "unknown":
      return "--exclusive";
  }
}
