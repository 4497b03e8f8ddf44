package main

import (
	"fmt"
	"io"
)

// A completionCommand is "sneck completion".
type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"The shell: bash, zsh or fish."`
}

// Help is printed below the flags.
func (*completionCommand) Help() string {
	return `The script has the shell ask sneck itself, so it fits any later version.

To have it in this shell, and in every one:

    source <(sneck completion bash)
    sneck completion bash >~/.local/share/bash-completion/completions/sneck

    source <(sneck completion zsh)
    sneck completion zsh >"${fpath[1]}/_sneck"

    sneck completion fish | source
    sneck completion fish >~/.config/fish/completions/sneck.fish
`
}

// Run prints the script.
func (c *completionCommand) Run(con *console) error {
	script := map[string]string{"bash": bashCompletion, "zsh": zshCompletion, "fish": fishCompletion}[c.Shell]
	_, err := fmt.Fprintf(con.out, script, completeArg)
	return err
}

// The scripts ask sneck for what may follow the words so far, and leave names
// of files to the shell.
const (
	bashCompletion = `# bash completion for sneck
_sneck() {
	local line kind='' word=${COMP_WORDS[COMP_CWORD]}
	[[ $word == '=' ]] && word=''
	COMPREPLY=()
	while IFS=$'\t' read -r line _; do
		case $line in
		:*) kind=$line ;;
		*) COMPREPLY+=("$line") ;;
		esac
	done < <("${COMP_WORDS[0]}" %s "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
	case $kind in
	:files) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -f -- "$word") ;;
	:dirs) compopt -o filenames; mapfile -t COMPREPLY < <(compgen -d -- "$word") ;;
	esac
}
complete -F _sneck sneck
`
	zshCompletion = `#compdef sneck
_sneck() {
	local line
	local -a found
	for line in "${(@f)$("${words[1]}" %s "${(@)words[2,CURRENT]}" 2>/dev/null)}"; do
		case $line in
		:files) _files; return ;;
		:dirs) _files -/; return ;;
		?*) found+=("${${line%%%%$'\t'*}//:/\\:}:${line#*$'\t'}") ;;
		esac
	done
	_describe 'sneck' found
}
if [[ ${funcstack[1]} == _sneck ]]; then
	_sneck "$@"
else
	compdef _sneck sneck
fi
`
	fishCompletion = `# fish completion for sneck
function __sneck
	set -l words (commandline -opc) (commandline -ct)
	for line in ($words[1] %s $words[2..] 2>/dev/null)
		switch $line
			case ':files'
				__fish_complete_path (commandline -ct)
			case ':dirs'
				__fish_complete_directories (commandline -ct)
			case '*'
				echo $line
		end
	end
end
complete -c sneck -f -a '(__sneck)'
`
)

// completeLine prints what may come in place of the last of the words, a line
// each with a tab and a text for people behind it; or ":files" or ":dirs" if
// the shell knows better.
func completeLine(words []string, out io.Writer) error {
	cli := newCommandLine()
	parser, err := newParser(&cli)
	if err != nil {
		return err
	}
	for _, c := range completions(parser.Model.Node, words) {
		line := c.word
		if c.help != "" {
			line += "\t" + c.help
		}
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return nil
}
