#!/bin/sh
# Builds PyCUDA without CUDA's toolkit and without a driver, for the tests that run it on a driver of their own:
#     build_pycuda.sh PYTHON FOLDER      (some ten minutes; PYTHONPATH=FOLDER/site then has it)
# Headers come from NVIDIA's packages on PyPI; cuRAND is left out; libcuda is a stub that is only linked against.
set -eu
python=$(command -v "$1") folder=$(mkdir -p "$2" && cd "$2" && pwd)
[ -e "$folder/.ready" ] && exit
"$python" -m venv "$folder/venv"
venv=$folder/venv/bin/python
numpy=$("$python" -c 'import numpy; print(numpy.__version__)')
"$venv" -m pip install --quiet --disable-pip-version-check 'setuptools<80' wheel "numpy==$numpy" mako pytools \
  'nvidia-cuda-runtime-cu12==12.9.*' 'nvidia-cuda-nvcc-cu12==12.9.*' 'nvidia-cuda-profiler-api-cu12==12.9.*'
cd "$folder"
rm -rf pycuda-* root site
mkdir -p root/include root/lib64 site
for headers in venv/lib/python3.*/site-packages/nvidia/*/include; do cp -r "$headers/." root/include/; done
echo 'int cuInit(unsigned flags) { return (int)(flags & 0); }' | \
  cc -shared -fPIC -Wl,-soname,libcuda.so.1 -o root/lib64/libcuda.so -x c -
"$venv" -m pip download --quiet --no-deps --no-build-isolation --no-binary pycuda 'pycuda==2026.1'
tar xzf pycuda-*.tar.gz
cd pycuda-*/
"$venv" configure.py --cuda-root="$folder/root" --no-cuda-enable-curand --cudadrv-lib-dir="$folder/root/lib64"
"$venv" -m pip install --quiet --disable-pip-version-check --no-build-isolation --no-deps --target "$folder/site" .
"$venv" -m pip install --quiet --disable-pip-version-check --no-deps --target "$folder/site" mako pytools markupsafe siphash24
touch "$folder/.ready"
