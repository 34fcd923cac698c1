#!/bin/bash
# A run on the nodes of one Slurm job: scheduler and run on the first node, workers on all. docs/cluster.md.
#   sbatch packaging/slurm/replicate.sh --nightly
# A job that ended before the copy did is continued by the next one: --nightly, or --resume.
#SBATCH --job-name=replicate
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=2
#SBATCH --mem-per-cpu=1G
#SBATCH --time=12:00:00
#SBATCH --signal=B:TERM@120
set -euo pipefail

# adapt, or set them in the environment: the tool, its Python, the folder with .env and the progress file, and that of
# the certificates; all of them on every node
TOOL=${TOOL:-/opt/replicator}
VENV=${VENV:-$TOOL/.venv}
FOLDER=${FOLDER:-/srv/replica}
CERTIFICATES=${CERTIFICATES:-/etc/cluster}
PORT=${PORT:-8786}
ADDRESS=${ADDRESS:-$(hostname -f)}

export PYTHONPATH=$TOOL
export CLUSTER_TLS_CA=$CERTIFICATES/ca.pem CLUSTER_TLS_CERT=$CERTIFICATES/node.pem CLUSTER_TLS_KEY=$CERTIFICATES/node-key.pem
export CLUSTER_SETTINGS=workers
tls=(--protocol tls --tls-ca-file "$CLUSTER_TLS_CA" --tls-cert "$CLUSTER_TLS_CERT" --tls-key "$CLUSTER_TLS_KEY")
cd "$FOLDER"

# What does not end by itself ends with the job.
trap 'trap "" TERM; kill $(jobs -p) 2>/dev/null || true' EXIT
"$VENV/bin/dask" scheduler --host "$ADDRESS" --port "$PORT" --no-dashboard --dashboard-address 127.0.0.1:0 \
  "${tls[@]}" &
srun "$VENV/bin/dask" worker "tls://$ADDRESS:$PORT" --nthreads "${SLURM_CPUS_PER_TASK:-2}" --no-nanny --no-dashboard \
  --dashboard-address 127.0.0.1:0 --memory-limit 0 --death-timeout 120 --local-directory "${TMPDIR:-/tmp}" \
  "${tls[@]}" &

"$VENV/bin/python" - "tls://$ADDRESS:$PORT" <<'PYTHON'
# Until the first worker is there; those that come later are used as well.
import os, sys
from distributed import Client, Security
name = "CLUSTER_TLS_"
files = {"tls_ca_file": "CA", "tls_client_cert": "CERT", "tls_client_key": "KEY"}
with Client(sys.argv[1], security=Security(**{key: os.environ[name + of] for key, of in files.items()},
                                           require_encryption=True), timeout=120) as client:
    client.wait_for_workers(1, timeout=300)
PYTHON

# In the background, so that the signal before the job's end reaches it: it saves its progress.
"$VENV/bin/python" "$TOOL/sync-data.py" --cluster "tls://$ADDRESS:$PORT" "$@" &
run=$!
trap 'kill -TERM $run 2>/dev/null || true' TERM
code=0
wait $run || code=$?
# A signal ends the first wait, not the run.
while kill -0 $run 2>/dev/null; do code=0; wait $run || code=$?; done
exit $code
