package main

import (
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

// completeArg comes before words that are to be completed: see
// completionCommand.
const completeArg = "__complete"

// A completion is a word that can come next.
type completion struct{ word, help string }

// What the shell completes by itself.
const (
	completeFiles = ":files"
	completeDirs  = ":dirs"
)

// completions returns what can come in place of the last word.
func completions(root *kong.Node, words []string) []completion {
	// bash makes words of their own of "=" and what is before and behind it.
	ended := len(words) > 0 && words[len(words)-1] == "="
	words = slices.DeleteFunc(slices.Clone(words), func(word string) bool { return word == "=" })
	if ended || len(words) == 0 {
		words = append(words, "")
	}
	if words[0] == "help" && len(words) > 1 {
		words = words[1:]
	}
	words = inFull(words)
	node, argument := root, 0
	var value *kong.Value
	flags := true
	last := len(words) - 1
	for _, word := range words[:last] {
		name, _, whole := strings.Cut(word, "=")
		switch {
		case value != nil: // the word is the value of a flag
			value = nil
		case flags && word == "--":
			flags = false
		case flags && strings.HasPrefix(word, "-"):
			if flag := flagOf(node, name); flag != nil && !whole && takesValue(flag) {
				value = flag.Value
			}
		default:
			if child := childOf(node, word); child != nil && argument == 0 {
				node = child
			} else {
				argument++
			}
		}
	}
	switch word := words[last]; {
	case value != nil:
		return valuesOf(value, word, "")
	case flags && strings.HasPrefix(word, "-"):
		if name, begun, whole := strings.Cut(word, "="); whole {
			if flag := flagOf(node, name); flag != nil && takesValue(flag) {
				return valuesOf(flag.Value, begun, name+"=")
			}
			return nil
		}
		return flagsOf(node, word)
	default:
		return wordsOf(node, argument, word)
	}
}

// childOf returns the command with a name, or nil.
func childOf(node *kong.Node, name string) *kong.Node {
	for _, child := range node.Children {
		if child.Name == name {
			return child
		}
	}
	return nil
}

// allFlags returns the flags that a command takes.
func allFlags(node *kong.Node) []*kong.Flag { return slices.Concat(node.AllFlags(true)...) }

// flagOf returns the flag that is written so, or nil.
func flagOf(node *kong.Node, written string) *kong.Flag {
	for _, flag := range allFlags(node) {
		if written == "--"+flag.Name || flag.Short != 0 && written == "-"+string(flag.Short) {
			return flag
		}
	}
	return nil
}

func takesValue(flag *kong.Flag) bool { return !flag.IsBool() && !flag.IsCounter() }

// flagsOf returns the flags that begin so.
func flagsOf(node *kong.Node, begun string) []completion {
	var found []completion
	add := func(word, help string) {
		if strings.HasPrefix(word, begun) {
			found = append(found, completion{word, summaryOf(help)})
		}
	}
	for _, flag := range allFlags(node) {
		add("--"+flag.Name, flag.Help)
		if flag.Tag.Negatable != "" {
			add("--no-"+flag.Name, "Not: "+flag.Help)
		}
	}
	return found
}

// wordsOf returns what is no flag: commands, or values of an argument.
func wordsOf(node *kong.Node, argument int, begun string) []completion {
	var found []completion
	for _, child := range node.Children {
		if !child.Hidden && argument == 0 && strings.HasPrefix(child.Name, begun) {
			found = append(found, completion{child.Name, summaryOf(child.Help)})
		}
	}
	if node.Parent == nil && argument == 0 && strings.HasPrefix("help", begun) {
		found = append(found, completion{"help", "Say more about a command"})
	}
	if len(node.Children) > 0 || len(node.Positional) == 0 {
		return found
	}
	// The last argument may be a list.
	positional := node.Positional[min(argument, len(node.Positional)-1)]
	if argument >= len(node.Positional) && !positional.IsCumulative() {
		return nil
	}
	return valuesOf(positional, begun, "")
}

// valuesOf returns values of a flag or argument that begin so.
func valuesOf(value *kong.Value, begun, prefix string) []completion {
	choices := strings.Split(value.Enum, ",")
	placeholder := value.Tag.PlaceHolder
	if placeholder == "KIND" {
		choices = eventKinds()
	}
	switch {
	case value.Enum != "" || placeholder == "KIND":
		var found []completion
		for _, choice := range choices {
			if choice = strings.TrimSpace(choice); choice != "" && strings.HasPrefix(choice, begun) {
				found = append(found, completion{prefix + choice, ""})
			}
		}
		return found
	case strings.Contains(placeholder, "DIR"):
		return []completion{{completeDirs, ""}}
	case strings.Contains(placeholder, "FILE") || value.Name == "file":
		return []completion{{completeFiles, ""}}
	}
	return nil
}

// maxSummary is how much is said of a word, in bytes.
const maxSummary = 70

// summaryOf returns the first sentence of a help text.
func summaryOf(help string) string {
	for _, end := range []string{"; ", ": ", ". ", " ("} {
		help, _, _ = strings.Cut(help, end)
	}
	help = strings.TrimSuffix(help, ".")
	if len(help) > maxSummary {
		help = help[:strings.LastIndexByte(help[:maxSummary], ' ')] + " …"
	}
	return help
}
