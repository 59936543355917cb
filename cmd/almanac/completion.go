package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCmd struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

func (c *completionCmd) Help() string {
	return `Examples:

    source <(almanac completion bash)          # in ~/.bashrc
    source <(almanac completion zsh)           # in ~/.zshrc, after compinit
    almanac completion fish | source           # in ~/.config/fish/config.fish`
}

func (c *completionCmd) Run(a *app) error {
	_, err := io.WriteString(a.stdout, completionCode[c.Shell])
	return err
}

// completeCommand is what the shells' code calls with the words of the command line so far; the last
// is the one to complete. The answer has a line for each candidate, with a tab before its help, and
// a last line with filesWanted where the name of a file belongs.
const (
	completeCommand = "__complete"
	filesWanted     = ":files"
)

var completionCode = map[string]string{
	"bash": `_almanac() {
  local line files=
  COMPREPLY=()
  while IFS= read -r line; do
    case $line in
      :files) files=1 ;;
      *) COMPREPLY+=("${line%%$'\t'*}") ;;
    esac
  done < <("${COMP_WORDS[0]}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
  if [[ -n $files ]]; then compopt -o default; fi
}
complete -F _almanac almanac
`,
	"zsh": `#compdef almanac
_almanac() {
  local line files=
  local -a candidates
  while IFS= read -r line; do
    case $line in
      :files) files=1 ;;
      *) candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
    esac
  done < <("${words[1]}" __complete "${(@)words[2,CURRENT]}" 2>/dev/null)
  if (( ${#candidates} )); then _describe almanac candidates; fi
  if [[ -n $files ]]; then _files; fi
}
compdef _almanac almanac
`,
	"fish": `function __almanac_complete
    set -l words (commandline -opc) (commandline -ct)
    for line in ($words[1] __complete $words[2..-1] 2>/dev/null)
        if test "$line" = ":files"
            __fish_complete_path (commandline -ct)
        else
            echo -- $line
        end
    end
end
complete -c almanac -f -a "(__almanac_complete)"
`,
}

// complete answers a shell. Words that make no sense get no candidates rather than an error: the
// user has not finished yet.
func complete(root *kong.Node, words []string, w io.Writer) error {
	words = joinEquals(words)
	if len(words) == 0 {
		words = []string{""}
	}
	last := len(words) - 1
	node, position, pending := walk(root, words[:last])
	var lines []string
	switch name, value, hasValue := strings.Cut(words[last], "="); {
	case pending != nil:
		lines = valueCandidates(pending.Value, "", words[last])
	case hasValue && strings.HasPrefix(name, "--"):
		if flag := findFlag(node, name); flag != nil {
			lines = valueCandidates(flag.Value, name+"=", value)
		}
	case strings.HasPrefix(words[last], "-"):
		lines = flagCandidates(node, words[last])
	case position < len(node.Positional):
		lines = valueCandidates(node.Positional[position], "", words[last])
	default:
		lines = commandCandidates(node, words[last])
	}
	for _, line := range lines {
		if _, err := fmt.Fprintln(w, line); err != nil {
			return err
		}
	}
	return nil
}

// joinEquals undoes what bash does to --flag=value: it makes three words of it.
func joinEquals(words []string) []string {
	var joined []string
	for i := 0; i < len(words); i++ {
		if words[i] == "=" && len(joined) > 0 && strings.HasPrefix(joined[len(joined)-1], "--") {
			if i == len(words)-1 {
				joined = append(joined, "")
			}
			continue
		}
		joined = append(joined, words[i])
	}
	return joined
}

// walk follows whole words to a command. pending is the flag whose value comes next, if any;
// position counts the arguments that are not flags.
func walk(node *kong.Node, words []string) (at *kong.Node, position int, pending *kong.Flag) {
	for _, word := range words {
		if pending != nil {
			pending = nil
			continue
		}
		if strings.HasPrefix(word, "-") {
			if flag := findFlag(node, word); flag != nil && !flag.IsBool() {
				pending = flag
			}
			continue
		}
		child := slices.IndexFunc(node.Children, func(n *kong.Node) bool { return n.Name == word })
		switch {
		case child >= 0:
			node, position = node.Children[child], 0
		case node.DefaultCmd != nil:
			node, position = node.DefaultCmd, 1
		default:
			position++
		}
	}
	return node, position, pending
}

// flagsOf are the flags of a command, or of the one that is meant where its name is left out.
func flagsOf(node *kong.Node) [][]*kong.Flag {
	if node.DefaultCmd != nil {
		node = node.DefaultCmd
	}
	return node.AllFlags(true)
}

func findFlag(node *kong.Node, word string) *kong.Flag {
	for _, group := range flagsOf(node) {
		for _, flag := range group {
			if word == "--"+flag.Name || flag.Short != 0 && word == "-"+string(flag.Short) || slices.Contains(flag.Aliases, strings.TrimPrefix(word, "--")) {
				return flag
			}
		}
	}
	return nil
}

func commandCandidates(node *kong.Node, prefix string) []string {
	var lines []string
	for _, child := range node.Children {
		if strings.HasPrefix(child.Name, prefix) && !child.Hidden {
			lines = append(lines, child.Name+"\t"+child.Help)
		}
	}
	return lines
}

func flagCandidates(node *kong.Node, prefix string) []string {
	var lines []string
	for _, group := range flagsOf(node) {
		for _, flag := range group {
			if strings.HasPrefix("--"+flag.Name, prefix) {
				help, _, _ := strings.Cut(flag.Help, "\n")
				lines = append(lines, "--"+flag.Name+"\t"+help)
			}
		}
	}
	slices.Sort(lines)
	return lines
}

// valueCandidates are the values that an enum or the tag `complete` allows. The tag is a list, or
// "file" or "dir".
func valueCandidates(value *kong.Value, before, prefix string) []string {
	list := value.Enum
	switch tag := value.Tag.Get("complete"); tag {
	case "":
	case "file", "dir":
		return []string{filesWanted}
	default:
		list = tag
	}
	var lines []string
	for choice := range strings.SplitSeq(list, ",") {
		if choice != "" && strings.HasPrefix(choice, prefix) {
			lines = append(lines, before+choice+"\t")
		}
	}
	return lines
}
