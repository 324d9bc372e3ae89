# What the command-line tests share: sourced, with $motet, and $under: the subcommand, or nothing.
cases=0 failures=0

# run STATUS STDOUT STDERR ARGUMENT...: motet $under ARGUMENT... must end with STATUS; stdout and stderr must match these
# extended regular expressions ("" for: nothing there).
run() {
    local status=$1 wanted=$2 said=$3 got problem=
    shift 3
    cases=$((cases + 1))
    # shellcheck disable=SC2086  # both may be nothing or several words
    ${MOTET_RUN:-} "$motet" $under "$@" >stdout 2>stderr
    got=$?
    [ $got = "$status" ] || problem="exit status $got, expected $status"
    matches "$wanted" stdout || problem="stdout does not match: $wanted"
    matches "$said" stderr || problem="stderr does not match: $said"
    [ -z "$problem" ] && return
    failures=$((failures + 1))
    echo "FAILED: $problem"
    echo "  motet $under $*"
    sed 's/^/  | /' stdout stderr | tail -8
}

matches() {
    if [ -z "$1" ]; then [ ! -s "$2" ]; else grep -qE -- "$1" "$2"; fi
}
