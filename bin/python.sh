# Sourced by the commands beside it: goes to the project's folder and sets PYTHON to a Python that
# is new enough, $PYTHON itself if it is set, else the virtual environment's ($VENV, .venv) or one on the PATH.
command=bin/$(basename "$0")
cd "$(dirname "$0")/.." || exit 1

export VENV="${VENV:-.venv}"

new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1
}

found=
for candidate in ${PYTHON:-$VENV/bin/python python3 python3.14 python3.13 python3.12 python3.11}; do
    if new_enough "$candidate"; then
        found=$candidate
        break
    fi
done
if [ -z "$found" ]; then
    seen=${PYTHON:-python3}
    version=$("$seen" --version 2>/dev/null) || version="not found"
    echo "$command: needs Python 3.11 or newer; $seen is $version. PYTHON=/path/to/python $command uses another." >&2
    exit 1
fi
PYTHON=$found
