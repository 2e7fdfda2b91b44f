# Completion of hostpair's commands and options in bash. What a command takes (hosts, their files, downloads) is asked of the
# hostpair that runs, by "hostpair complete"; files and folders of this machine are bash's own business.

# The word that a piece of the command line stands for, in $plain. Nothing in it is run.
_hostpair_unquote() {
    local i c quote=
    plain=
    for ((i = 0; i < ${#1}; i++)); do
        c=${1:i:1}
        if [[ -z $quote && ($c == \" || $c == \') ]]; then
            quote=$c
        elif [[ -n $quote && $c == "$quote" ]]; then
            quote=
        elif [[ $c == \\ && $quote != \' ]]; then
            plain+=${1:i+1:1}
            i=$((i + 1))
        else
            plain+=$c
        fi
    done
}

# A name as it must stand behind what was typed so far, in $quoted: names of other hosts may hold anything.
_hostpair_quote() {
    case $2 in
        \'*) quoted=${1//\'/\'\\\'\'} ;;
        \"*) quoted=$(sed 's/[\\"$`]/\\&/g' <<<"$1") ;;
        *) printf -v quoted %q "$1" ;;
    esac
}

_hostpair() {
    local current=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local rest=$COMP_LINE words=() found=() i piece plain quoted
    COMPREPLY=()
    if [ "$before" = --log ]; then
        mapfile -t COMPREPLY < <(compgen -W "error warn info debug" -- "$current")
        return
    fi
    # bash also parts words at a colon or an equals sign: what has no space between belongs together.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        piece=${COMP_WORDS[i]}
        if ((i == 0)) || [[ -z $COMP_LINE || $rest == [[:space:]]* ]]; then
            rest=${rest#"${rest%%[![:space:]]*}"}
            words+=("$piece")
        else
            words[-1]+=$piece
        fi
        rest=${rest#"$piece"}
    done
    local typed=${words[-1]}
    if [[ $current == [:=] ]]; then current=; fi
    _hostpair_unquote "${typed%"$current"}"
    local kept=${#plain}
    for i in "${!words[@]}"; do
        if ((i == 0)); then continue; fi
        _hostpair_unquote "${words[i]}"
        words[i]=$plain
    done
    mapfile -t found < <("$1" complete "${words[@]:1}" 2>/dev/null && echo .)
    # The last line tells that this was all there is; without it bash goes on with files of this machine.
    if [ "${found[-1]-}" = . ]; then
        unset 'found[-1]'
        compopt +o default 2>/dev/null
    fi
    if [[ $typed == -* && ${#words[@]} -eq 2 ]]; then
        mapfile -t found < <(compgen -W "$("$1" --help 2>/dev/null | sed -n 's/^  \(--[a-z-]*\).*/\1/p')" -- "$typed")
    fi
    for i in "${!found[@]}"; do
        _hostpair_quote "${found[i]:kept}" "$current"
        COMPREPLY+=("$quoted")
    done
    # Behind a folder more may follow.
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == */ ]]; then compopt -o nospace 2>/dev/null; fi
}
complete -o default -F _hostpair hostpair
