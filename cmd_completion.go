package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/alecthomas/kong"
)

// completion is the command "posthouse completion": a script that completes commands and
// flags in a shell. It is made from the commands themselves.
type completion struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// Help is shown by posthouse completion --help.
func (completion) Help() string {
	return `Example: source <(posthouse completion bash)                  in ~/.bashrc
         source <(posthouse completion zsh)                   in ~/.zshrc
         posthouse completion fish > ~/.config/fish/completions/posthouse.fish`
}

// Run prints the script.
func (c completion) Run(k *kong.Kong) error {
	lines := completionLines(k.Model.Node, k.Model.Name)
	script := map[string]func([]completionLine) string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := os.Stdout.WriteString(script(lines))
	return err
}

// completionLine is a place on the command line, and the words that may follow there.
type completionLine struct {
	path  string // the words before, without flags
	words []completionWord
}

type completionWord struct{ text, help string }

// completionLines lists the commands below node, each with its commands and flags.
func completionLines(node *kong.Node, path string) (lines []completionLine) {
	line := completionLine{path: path}
	add := func(from *kong.Node) {
		for _, f := range from.Flags {
			if !f.Hidden {
				line.words = append(line.words, completionWord{"--" + f.Name, f.Help})
			}
		}
	}
	for _, child := range node.Children {
		if !child.Hidden {
			line.words = append(line.words, completionWord{child.Name, child.Help})
			lines = append(lines, completionLines(child, path+" "+child.Name)...)
		}
	}
	for _, arg := range node.Positional {
		for _, value := range arg.EnumSlice() {
			line.words = append(line.words, completionWord{value, arg.Help})
		}
	}
	add(node)
	if node.DefaultCmd != nil {
		add(node.DefaultCmd)
	}
	return append(lines, line)
}

// shellWords are the words of a line for shells without descriptions.
func (l completionLine) shellWords() string {
	var words []string
	for _, w := range l.words {
		words = append(words, w.text)
	}
	return strings.Join(words, " ")
}

// bashCompletion finds the command among the words before, and offers what may follow.
func bashCompletion(lines []completionLine) string {
	var b strings.Builder
	b.WriteString(`# bash completion for posthouse
_posthouse() {
  local cur="${COMP_WORDS[COMP_CWORD]}" path=posthouse words= word
  for word in "${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    case "$path $word" in
`)
	for _, l := range lines {
		if strings.Contains(l.path, " ") {
			fmt.Fprintf(&b, "      %q) path=\"$path $word\" ;;\n", l.path)
		}
	}
	b.WriteString("    esac\n  done\n  case \"$path\" in\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "    %q) words=%q ;;\n", l.path, l.shellWords())
	}
	b.WriteString(`  esac
  COMPREPLY=($(compgen -W "$words" -- "$cur"))
  [ ${#COMPREPLY[@]} -gt 0 ] || COMPREPLY=($(compgen -f -- "$cur"))
}
complete -o filenames -F _posthouse posthouse
`)
	return b.String()
}

// zshCompletion does the same with descriptions.
func zshCompletion(lines []completionLine) string {
	var b strings.Builder
	b.WriteString(`#compdef posthouse
_posthouse() {
  local where=posthouse word
  local -a offers
  for word in "${(@)words[2,CURRENT-1]}"; do
    case "$where $word" in
`)
	for _, l := range lines {
		if strings.Contains(l.path, " ") {
			fmt.Fprintf(&b, "      %q) where=\"$where $word\" ;;\n", l.path)
		}
	}
	b.WriteString("    esac\n  done\n  case \"$where\" in\n")
	for _, l := range lines {
		fmt.Fprintf(&b, "    %q) offers=(\n", l.path)
		for _, w := range l.words {
			fmt.Fprintf(&b, "      %s\n", quoteShell(strings.ReplaceAll(w.text, ":", `\:`)+":"+w.help))
		}
		b.WriteString("    ) ;;\n")
	}
	b.WriteString(`  esac
  _describe posthouse offers || _files
}
if [ "${funcstack[1]}" = _posthouse ]; then _posthouse "$@"; else compdef _posthouse posthouse; fi
`)
	return b.String()
}

// fishCompletion offers each word where its command stands.
func fishCompletion(lines []completionLine) string {
	var b strings.Builder
	b.WriteString("# fish completion for posthouse\n")
	for _, l := range lines {
		path := strings.Fields(l.path)[1:]
		condition := "__fish_use_subcommand"
		if len(path) > 0 {
			condition = "__fish_seen_subcommand_from " + strings.Join(path, "; and __fish_seen_subcommand_from ")
		}
		for _, w := range l.words {
			if flag, ok := strings.CutPrefix(w.text, "--"); ok {
				fmt.Fprintf(&b, "complete -c posthouse -n %s -l %s -d %s\n", quoteShell(condition), flag, quoteShell(w.help))
			} else {
				fmt.Fprintf(&b, "complete -c posthouse -f -n %s -a %s -d %s\n", quoteShell(condition), w.text, quoteShell(w.help))
			}
		}
	}
	return b.String()
}

// quoteShell puts text into single quotes.
func quoteShell(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }
