# Completion of hostpair's options in bash: their names come from --help, the values of folders and files from the disk.
_hostpair() {
    local word=${COMP_WORDS[COMP_CWORD]}
    if [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$("$1" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')" -- "$word")
    elif [ "${COMP_WORDS[COMP_CWORD - 1]}" = --log ]; then
        mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$word")
    fi
}
complete -o default -F _hostpair hostpair
