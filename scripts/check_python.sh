#!/bin/sh
# Says what this machine lacks to make environments, with the command that installs it. Exit 1 if something is missing.
python=${1:-python3.11}
if [ -r /etc/os-release ]; then . /etc/os-release; fi
release="${ID:-unknown} ${VERSION_ID:-}"
sudo=$([ "$(id -u)" = 0 ] || echo "sudo ")

install() {
    case "$release" in
        "debian 12"*|"ubuntu 22.04"*|"ubuntu 23.04"*)
            echo "    ${sudo}apt-get update && ${sudo}apt-get install -y python3.11 python3.11-venv" ;;
        "ubuntu "*)
            echo "    ${sudo}apt-get update && ${sudo}apt-get install -y software-properties-common"
            echo "    ${sudo}add-apt-repository -y ppa:deadsnakes/ppa && ${sudo}apt-get update"
            echo "    ${sudo}apt-get install -y python3.11 python3.11-venv" ;;
        *)
            echo "    ($release packages no Python 3.11; Debian 12 and Ubuntu 22.04 do: apt-get install -y python3.11 python3.11-venv)"
            echo "    Any Python 3.11 will do: make setup PYTHON=/path/to/python3.11" ;;
    esac
}

if ! command -v "$python" >/dev/null 2>&1 || ! "$python" -c '' 2>/dev/null; then
    echo "Speechmill needs Python 3.11; '$python' was not found. Install it:" >&2
    install >&2
    exit 1
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
if [ "$version" != 3.11 ]; then
    echo "Speechmill needs Python 3.11; '$python' is $version. Install it:" >&2
    install >&2
    exit 1
fi
if ! "$python" -c 'import venv, ensurepip' 2>/dev/null; then
    echo "Python 3.11 is here, but not its venv module. Install it:" >&2
    install >&2
    exit 1
fi
