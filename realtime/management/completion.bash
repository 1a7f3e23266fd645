# Completes `manage.py realtime …` in bash, and in zsh after `autoload -U bashcompinit; bashcompinit`.
# What comes before `realtime` is left to Django's own completion, if the shell has it.

_realtime_words() { # the words that may follow: of a subcommand, of one of its own, or of none
    case "$1" in
@WORDS@
    *) return 1 ;;
    esac
}

_realtime_completion() {
    local number=1 path="" word words
    case "${COMP_WORDS[0]##*/}" in python*) number=2 ;; esac
    if [ "${COMP_WORDS[number - 1]##*/}" = manage.py ] && [ "${COMP_WORDS[number]}" = realtime ] &&
        [ "$COMP_CWORD" -gt "$number" ]; then
        for word in "${COMP_WORDS[@]:number + 1:COMP_CWORD - number - 1}"; do
            _realtime_words "${path:+$path }$word" >/dev/null && path="${path:+$path }$word"
        done
        words=$(_realtime_words "$path")
        COMPREPLY=($(compgen -W "$words" -- "${COMP_WORDS[COMP_CWORD]}"))
    elif [ "$number" = 1 ] && declare -F _django_completion >/dev/null; then
        _django_completion
    elif [ "$number" = 2 ] && declare -F _python_django_completion >/dev/null; then
        _python_django_completion
    else
        COMPREPLY=()
    fi
}

complete -o default -F _realtime_completion manage.py python python3
