package main

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/alecthomas/kong"
)

const (
	helpWidth = 80
	// maxListedFlags is how many flags fit a screen beside the rest.
	maxListedFlags = 20
)

// printHelp prints a help that fits a screen: one line for each argument, flag and command,
// then the detail of the command with its example. Settings of serve are too many for that.
func printHelp(_ kong.HelpOptions, c *kong.Context) error {
	node, detail := c.Model.Node, overview
	if selected := c.Selected(); selected != nil {
		node, detail = selected, selected.Detail
	}
	var b strings.Builder
	fmt.Fprintf(&b, "Usage: %s %s\n\n%s\n", c.Model.Name, strings.TrimPrefix(node.Summary(), c.Model.Name+" "), wrapText(node.Help))
	rows := [][2]string{}
	for _, arg := range node.Positional {
		rows = append(rows, [2]string{arg.Summary(), arg.Help})
	}
	var flags []*kong.Flag
	for _, f := range node.Flags {
		if f.Name != "help" && !f.Hidden {
			flags = append(flags, f)
		}
	}
	if len(flags) <= maxListedFlags {
		for _, f := range flags {
			rows = append(rows, [2]string{f.String(), f.Help})
		}
	}
	for _, leaf := range node.Leaves(true) {
		if leaf != node {
			name := strings.TrimPrefix(leaf.FullPath(), c.Model.Name+" ")
			rows = append(rows, [2]string{name, leaf.Help})
		}
	}
	if len(rows) > 0 {
		b.WriteByte('\n')
		writeRows(&b, rows)
	}
	if detail != "" {
		b.WriteString("\n" + strings.Trim(detail, "\n") + "\n")
	}
	_, err := io.WriteString(c.Stdout, b.String())
	return err
}

// overview ends the help of the program itself.
const overview = `Example: posthouse                       the gateway, with a local WeChat
         posthouse doctor https://www.example.com
"posthouse COMMAND --help" says more about a command.`

// writeRows writes two columns. A text that does not fit its line is cut at the end of a
// part of its sentence, else at a word.
func writeRows(b *strings.Builder, rows [][2]string) {
	left := 0
	for _, row := range rows {
		if n := utf8.RuneCountInString(row[0]); n <= helpWidth/2 {
			left = max(left, n)
		}
	}
	for _, row := range rows {
		fmt.Fprintf(b, "  %-*s  %s\n", left, row[0], cutText(row[1], helpWidth-4-max(left, utf8.RuneCountInString(row[0]))))
	}
}

func cutText(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	fits := string([]rune(text)[:max(width, 0)])
	for _, end := range []string{". ", "; ", ": ", ", ", " ("} {
		if i := strings.LastIndex(fits, end); i > len(fits)/3 {
			return strings.TrimRight(fits[:i], ".") + "."
		}
	}
	if i := strings.LastIndexByte(fits, ' '); i > 0 {
		return fits[:i] + "…"
	}
	return fits
}

// wrapText breaks a sentence into lines.
func wrapText(text string) string {
	var b strings.Builder
	column := 0
	for word := range strings.FieldsSeq(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case column == 0:
		case column+1+n > helpWidth:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
