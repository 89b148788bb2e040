# Completes tidemark's commands and flags in bash. What there is, the program says itself.

_tidemark() {
    local program=${COMP_WORDS[0]} command=${COMP_WORDS[1]} before=${COMP_WORDS[COMP_CWORD - 1]}
    local current=${COMP_WORDS[COMP_CWORD]} words=""
    COMPREPLY=()
    case $before in
    --config | --web.config.file | --record | --cacert)
        mapfile -t COMPREPLY < <(compgen -f -- "$current")
        return
        ;;
    --logstore | --state-dir)
        mapfile -t COMPREPLY < <(compgen -d -- "$current")
        return
        ;;
    --log-format) words="logfmt json" ;;
    --log-level) words="info warn error" ;;
    --granularity) words="partition topic group" ;;
    *)
        if ((COMP_CWORD == 1)); then
            words="--help --version $("$program" --help 2>/dev/null | awk '$1 == "tidemark" {print $2}')"
        elif [[ $command == log && $COMP_CWORD == 2 ]]; then
            words="--help $("$program" log --help 2>/dev/null | awk '/^  [a-z]/ {print $1}')"
        elif [[ $current == -* ]]; then
            local verb=()
            [[ $command == log ]] && verb=("${COMP_WORDS[2]}")
            words="--help $("$program" "$command" "${verb[@]}" --help 2>/dev/null | grep -oE -- '--[a-z][a-z.-]*[a-z]')"
        else
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
        fi
        ;;
    esac
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
}

complete -o filenames -F _tidemark tidemark
