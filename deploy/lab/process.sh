# Processes of the lab, on this side and in the guest, each known by a name; its output is $work/logs/NAME.
#
#   start NAME COMMAND...      stop NAME [SIGNAL]      running NAME
#   guest_start NAME COMMAND   guest_stop NAME [SIGNAL]             (COMMAND is one word, a shell command)
#   within SECONDS COMMAND...  repeats COMMAND until it succeeds; fails when the time is over
#   listening PORT             somebody accepts connections on 127.0.0.1:PORT
#   logs_mark, logs_show       shows what was logged since the mark

say() { echo "lab: $*" >&2; }
die() {
	echo "lab: $*" >&2
	exit 1
}

start() {
	local name=$1
	shift
	"$@" >>"$work/logs/$name" 2>&1 </dev/null &
	echo $! >"$work/pids/$name"
	disown # what cases kill is no news
}

running() { kill -0 "$(cat "$work/pids/$1" 2>/dev/null)" 2>/dev/null; }

stop() {
	running "$1" || return 0
	kill -s "${2:-TERM}" "$(cat "$work/pids/$1")"
	within 10 not running "$1" || {
		echo "$1 did not end within 10 s of SIG${2:-TERM}"
		kill -KILL "$(cat "$work/pids/$1")"
		return 1
	}
}

guest_start() {
	guest "setsid sh -c 'echo \$\$ >/tmp/$1.pid; exec $2' >>/lab/logs/$1 2>&1 & until [ -s /tmp/$1.pid ]; do sleep 0.01; done"
}

guest_stop() {
	guest "
		pid=\$(cat /tmp/$1.pid 2>/dev/null) && kill -s ${2:-TERM} \$pid 2>/dev/null || exit 0
		for i in \$(seq 200); do [ -d /proc/\$pid ] || { rm -f /tmp/$1.pid; exit 0; }; sleep 0.05; done
		echo '$1 did not end within 10 s of SIG${2:-TERM}'; kill -9 \$pid; rm -f /tmp/$1.pid; exit 1"
}

not() { ! "$@"; }

within() {
	local end=$((${EPOCHREALTIME/./} + $1 * 1000000))
	shift
	until "$@"; do
		[ "${EPOCHREALTIME/./}" -lt $end ] || return 1
		sleep 0.05
	done
}

listening() { (exec 3<>/dev/tcp/127.0.0.1/"$1") 2>/dev/null; }

logs_mark() {
	local log
	mkdir -p "$work/marks"
	for log in "$work"/logs/*; do stat -c %s "$log" >"$work/marks/${log##*/}"; done
}

logs_show() {
	local log from
	for log in "$work"/logs/*; do
		from=$(cat "$work/marks/${log##*/}" 2>/dev/null || echo 0)
		[ "$(stat -c %s "$log")" -gt "$from" ] || continue
		echo "---- ${log##*/}"
		tail -c +$((from + 1)) "$log" | tail -n "${LOG_LINES:-25}"
	done
}
