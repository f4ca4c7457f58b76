#!/usr/bin/env bash
# vtlsim step: commands from a script, and in a terminal, which is left as it was: after q, after
# Ctrl-C, after SIGTERM, while it is stopped by Ctrl-Z; with another size in between.
set -euo pipefail
vtlsim=$(cd "$1" && pwd)/vtlsim
cd "$(dirname "$0")/../.."
crash=scenarios/sidecar/crash-shadow.json

problems=0
problem() { echo "step: $*"; problems=$((problems + 1)); }

# script COMMANDS STATUS: leaves the answer in `out`, messages in `err`.
script() {
    local status=0
    out=$(printf "$1" | "$vtlsim" step $crash --script - 2>&1) || status=$?
    ((status == $2)) || problem "'$1': exit status $status, not $2"
}
has() { [[ $out == *"$1"* ]] || problem "no '$1' in: $out"; }

script 'step 3\nback\n' 0
has '       3  vtl2'
script 'go start\nback\n' 0
has '(the start)'
script 'run vtl-enter reason=intercept\n' 0
has '166  hypervisor  vtl 2'
script 'break exit-io port=0x3fe\nbreak at=again\ncontinue\ncontinue\ncontinue\ncontinue back\nbreak\ndelete 1\n' 0
has '164  guest       vtl 0  0x100c  again: nop'
has '166  guest       vtl 0  0x1014  exit-io'
has 'break 2: at=again'
has '1 breaks left'
script 'search fxsave\nsearch fxsave\n' 0
has '118  vtl2'
has '174  vtl2'
script 'intercept\nswitch\nswitch back\nmark\n' 0
has 'vmm-assert message_rax'
script 'run lane=guest vtl=0\nprint rip\n' 0
has 'cpu.rip'
script 'go end\nfollow context.rax\nlast\nshow\n' 0
has 'xor ecx, ecx'
has '> ' && has 'code at 0x800029d'
script 'help\nquit\nnonsense\n' 0
script 'stpe\n' 1
has '-:1:1: unknown command stpe; did you mean step?'
script 'run nothing-like-it\n' 1
script 'print nothing\n' 1
status=0
"$vtlsim" step $crash </dev/null >/dev/null 2>&1 || status=$?
((status == 2)) || problem "without a terminal: exit status $status"
status=0
"$vtlsim" step $crash --script /nowhere 2>/dev/null || status=$?
((status == 2)) || problem "no such script: exit status $status"

if command -v python3 >/dev/null; then
    python3 - "$vtlsim" $crash <<'EOF' || problem "the terminal"
import fcntl, os, pty, select, signal, struct, sys, termios, time

vtlsim, crash = sys.argv[1:]
bad = False


def check(good, what):
    global bad
    if not good:
        print("step: terminal:", what)
        bad = True


def size(fd, rows, columns):
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def read(fd, until, seconds=20):
    got, end = b"", time.monotonic() + seconds
    while until not in got and time.monotonic() < end:
        if select.select([fd], [], [], 0.1)[0]:
            try:
                got += os.read(fd, 65536)
            except OSError:
                break
    return got


for way in ("q", "ctrl-c", "term"):
    master, slave = pty.openpty()
    size(slave, 30, 100)
    before = termios.tcgetattr(slave)
    pid = os.fork()
    if pid == 0:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for fd in range(3):
            os.dup2(slave, fd)
        os.execv(vtlsim, [vtlsim, "step", crash])
    got = read(master, b"\x1b[30;1H")
    check(b"\x1b[?1049h" in got and b"\x1b[30;1H" in got, "no other screen")
    check(termios.tcgetattr(slave) != before, "not raw")
    os.write(master, b"n")
    check(b"exit-io" in read(master, b"exit-io port"), "n finds the intercept")
    os.write(master, b"\x1b[D")
    check(b"in al, dx" in read(master, b"in al, dx"), "left goes back")
    os.write(master, b"/fxsave\r")
    check(b"fxsave" in read(master, b"fxsave fs"), "search")
    size(slave, 20, 60)
    os.kill(pid, signal.SIGWINCH)
    got = read(master, b"\x1b[20;1H")
    check(b"\x1b[20;1H" in got, "drawn anew in the new size")
    if way == "q":
        os.write(master, b"\x1a")
        got = read(master, b"\x1b[?1049l")
        check(b"\x1b[?1049l" in got, "Ctrl-Z gives the screen back")
        _, status = os.waitpid(pid, os.WUNTRACED)
        check(os.WIFSTOPPED(status), "Ctrl-Z stops it")
        check(termios.tcgetattr(slave) == before, "Ctrl-Z: the terminal is not as it was")
        os.kill(pid, signal.SIGCONT)
        got = read(master, b"\x1b[20;1H")
        check(b"\x1b[?1049h" in got and b"\x1b[20;1H" in got, "drawn anew after Ctrl-Z")
        os.write(master, b"q")
    elif way == "ctrl-c":
        os.write(master, b"\x03")
    else:
        os.kill(pid, signal.SIGTERM)
    got = read(master, b"\x1b[?1049l")
    check(b"\x1b[?1049l" in got and b"\x1b[?25h" in got, way + ": the screen is not given back")
    _, status = os.waitpid(pid, 0)
    check(termios.tcgetattr(slave) == before, way + ": the terminal is not as it was")
    if way == "term":
        check(os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGTERM, "dies of SIGTERM")
    else:
        check(os.WIFEXITED(status) and os.WEXITSTATUS(status) == 0, way + ": exit status")
    os.close(master)
    os.close(slave)
sys.exit(bad)
EOF
else
    echo "step: no python3: the terminal is not tried"
fi
exit $((problems > 0))
