#!/usr/bin/env bash
# A SLURM of one node on this machine, for the tests: slurm.sh start FOLDER, slurm.sh stop FOLDER;
# slurm.sh behead FOLDER kills the node's daemon, slurm.sh lose FOLDER also what runs on the node, slurm.sh revive FOLDER starts it anew.
# Needs root and Debian's packages, which it installs where they are missing. Leaves a machine that has a SLURM of its own alone.
set -euo pipefail

CONFIGURATION=/etc/slurm/slurm.conf # the daemons' children look nowhere else
FILES=(slurm.conf cgroup.conf gres.conf)
COMMANDS=(munged slurmctld slurmd sbatch)

# 77: cannot be had here, which a test takes as a reason to skip
unavailable() { echo "$1"; exit 77; }

installed() { for name in "${COMMANDS[@]}"; do command -v "$name" >/dev/null || return 1; done; }

install() {
  installed && return
  command -v apt-get >/dev/null || unavailable "SLURM is not installed, and there is no apt-get to install it with"
  { apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge; } >"$1/install.log" 2>&1 ||
    unavailable "slurm-wlm and munge cannot be installed: $(tail -n 1 "$1/install.log")"
}

configure() {
  local host cpus memory file
  host=$(hostname -s)
  cpus=$(nproc)
  memory=$(awk '/MemTotal/ {print int($2 / 1024 * 0.95)}' /proc/meminfo)
  mkdir -p "$1/munge" "$1/state" "$1/spool" /etc/slurm
  (umask 077 && head -c 1024 /dev/urandom >"$1/munge/key")
  chown -R munge "$1/munge"
  chmod 755 "$1" "$1/munge"
  cat >"$1/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=26817
SlurmdPort=26818
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$1/munge/socket,cred_expire=10
CredType=cred/munge
StateSaveLocation=$1/state
SlurmdSpoolDir=$1/spool
SlurmctldPidFile=$1/slurmctld.pid
SlurmdPidFile=$1/slurmd.pid
SlurmctldLogFile=$1/slurmctld.log
SlurmdLogFile=$1/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=2
JobAcctGatherParams=OverMemoryKill
AccountingStorageType=accounting_storage/none
MpiDefault=none
SwitchType=switch/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
SchedulerParameters=batch_sched_delay=0,sched_interval=1,bf_interval=1
MinJobAge=3600
SlurmdTimeout=10
OverTimeLimit=0
KillWait=2
ReturnToService=2
GresTypes=gpu
NodeName=$host NodeAddr=127.0.0.1 CPUs=$cpus RealMemory=$memory Gres=gpu:2 State=UNKNOWN
PartitionName=short Nodes=$host Default=YES MaxTime=60 State=UP
PartitionName=long Nodes=$host MaxTime=INFINITE State=UP
END
  printf 'CgroupPlugin=cgroup/v1\nCgroupAutomount=no\n' >"$1/cgroup.conf"
  # two devices that pass for GPUs: what asks for one gets it, and computes on the processor
  printf 'Name=gpu File=/dev/null\nName=gpu File=/dev/zero\n' >"$1/gres.conf"
  for file in "${FILES[@]}"; do ln -sfn "$1/$file" "/etc/slurm/$file"; done
}

# a test that was killed left its configuration: until it is gone, whatever asks for SLURM waits nine seconds for nobody
clear_away() {
  local left
  left=$(dirname "$(readlink "$CONFIGURATION" || true)")
  [[ -d $left/munge ]] || return 0
  kill -0 "$(cat "$left/slurmctld.pid" 2>/dev/null)" 2>/dev/null || stop "$left"
}

start() {
  [[ $(id -u) == 0 ]] || unavailable "starting a SLURM takes the superuser"
  clear_away
  [[ -e $CONFIGURATION ]] && unavailable "this machine has a SLURM already: $(realpath $CONFIGURATION)"
  mkdir -p "$1"
  install "$1"
  configure "$1"
  runuser -u munge -- munged --key-file="$1/munge/key" --socket="$1/munge/socket" --pid-file="$1/munge/pid" \
    --log-file="$1/munge/log" --seed-file="$1/munge/seed"
  slurmctld -c
  slurmd
  for _ in $(seq 100); do
    [[ $(sinfo --noheader --partition=short --format=%t 2>/dev/null) == idle ]] && return
    sleep 0.1
  done
  tail -n 5 "$1"/slurm*.log
  stop "$1"
  unavailable "the node did not come up"
}

stop() {
  local pid file
  for file in "$1/slurmd.pid" "$1/slurmctld.pid" "$1/munge/pid"; do
    [[ -s $file ]] || continue
    pid=$(<"$file")
    kill "$pid" 2>/dev/null || continue
    for _ in $(seq 100); do kill -0 "$pid" 2>/dev/null || break; sleep 0.1; done
  done
  for file in "${FILES[@]}"; do
    [[ $(readlink "/etc/slurm/$file") == "$1/$file" ]] && rm "/etc/slurm/$file"
  done
  return 0
}

# the daemon alone: jobs go on, and nobody hears of them
behead() { kill -9 "$(<"$1/slurmd.pid")"; }

# the daemon and all that descends from it, as when a machine loses its power
lose() {
  local pids=("$(<"$1/slurmd.pid")") children=() steps
  # a step's daemon is no child of the node's, and the only SLURM here is the test's
  steps=$(pgrep -x slurmstepd || true)
  pids+=($steps)
  for ((i = 0; i < ${#pids[@]}; i++)); do
    mapfile -t children < <(pgrep -P "${pids[i]}" || true)
    pids+=("${children[@]}")
  done
  kill -9 "${pids[@]}" 2>/dev/null || true
}

revive() {
  slurmd
  scontrol update "NodeName=$(hostname -s)" State=RESUME 2>/dev/null || true
}

[[ $# == 2 && $1 =~ ^(start|stop|behead|lose|revive)$ ]] || { echo "usage: $0 start|stop|behead|lose|revive FOLDER" >&2; exit 2; }
"$1" "$(realpath -m "$2")"
