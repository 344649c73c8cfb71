#!/usr/bin/env bash
# Tries hydra/launcher=submitit_slurm on a SLURM installation of one node, this machine, that lasts as long as the script.
#
#     apt-get install -y slurm-wlm munge
#     scripts/slurm_one_node.sh            # as root: slurmd starts jobs; PYTHON=... for another than .venv/bin/python
#
# All files lie in a temporary folder; the daemons (SLURM's and munge's own, on their ports) end with the script.
set -euo pipefail
cd "$(dirname "$0")/.."
python=$(realpath -s "${PYTHON:-.venv/bin/python}")
checkout=$PWD
work=$(mktemp -d)
export SLURM_CONF=$work/slurm.conf PYTHONPATH=$checkout${PYTHONPATH:+:$PYTHONPATH}

stop() {
    scancel --quiet --user="$(id -un)" || true
    for _ in $(seq 20); do
        [ -z "$(squeue --noheader 2> /dev/null)" ] && break
        sleep 1
    done
    for pid in "$work"/{slurmd,slurmctld,munged}.pid; do
        [ -s "$pid" ] && kill "$(cat "$pid")" || true
    done
    sleep 1
    rm -rf "$work"
}
trap stop EXIT
trap 'exit 143' INT TERM

mkdir -m 755 "$work"/{state,spool,munge}
chmod 755 "$work"
dd if=/dev/urandom of="$work/munge.key" bs=128 count=1 status=none
chmod 400 "$work/munge.key"
munged --force --key-file="$work/munge.key" --socket="$work/munge/socket" --pid-file="$work/munged.pid" \
    --log-file="$work/munged.log" --seed-file="$work/munged.seed"

cat > "$SLURM_CONF" <<CONF
ClusterName=one
SlurmctldHost=$(hostname -s)(127.0.0.1)
SlurmUser=root
AuthInfo=socket=$work/munge/socket
AuthType=auth/munge
CredType=cred/munge
SlurmctldPort=26817
SlurmdPort=26818
StateSaveLocation=$work/state
SlurmdSpoolDir=$work/spool
SlurmctldPidFile=$work/slurmctld.pid
SlurmdPidFile=$work/slurmd.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
ReturnToService=2
KillWait=10
NodeName=$(hostname -s) NodeAddr=127.0.0.1 CPUs=$(nproc) RealMemory=$(free -m | awk '/^Mem/ {print int($2 * 0.9)}')
PartitionName=all Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
slurmctld
slurmd
for _ in $(seq 30); do
    sinfo --noheader --format %t 2> /dev/null | grep -q idle && break
    sleep 1
done
sinfo

run() {
    echo "\$ rethinking run $*"
    "$python" -m rethinking run "$@" hydra/launcher=submitit_slurm hydra.launcher.mem_gb=2 \
        hydra.launcher.submitit_folder="$work/jobs/%j" 2>&1 | grep --line-buffered -v -e sacct -e 'accounting storage'   # There is none here.
}
cd "$work"

echo "--- two cells, a job each; as an array"
run -m model=graclus pooling=learned,complement dataset=digits seeds=2 trainer.max_epochs=3 diagnosed_graphs=0
grep '#SBATCH' "$work"/jobs/*/*_submission.sh | sed 's/.*#SBATCH/#SBATCH/'

echo "--- a job whose time is over goes back into the queue, and on where it was"
run model=graclus pooling=learned dataset=digits seeds=5 trainer.max_epochs="${EPOCHS:-60}" diagnosed_graphs=0 \
    hydra.launcher.timeout_min=3 hydra.launcher.signal_delay_s=60

echo "--- and one that may not go back says so; the same command, on another launcher, does the rest"
run model=graclus pooling=complement dataset=digits seeds=5 trainer.max_epochs="${EPOCHS:-60}" diagnosed_graphs=0 \
    hydra.launcher.timeout_min=3 hydra.launcher.signal_delay_s=60 hydra.launcher.max_num_timeout=0 || true
"$python" -m rethinking run model=graclus pooling=complement dataset=digits seeds=5 \
    trainer.max_epochs="${EPOCHS:-60}" diagnosed_graphs=0
