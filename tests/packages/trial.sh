#!/bin/sh
# Installs the packages on a machine that systemd runs, uses them, upgrades, removes and purges them. Prints a line for
# each thing that holds, and ends at the first one that does not. $1 is the directory of the packages.

set -eu

holds() {
  name=$1
  shift
  "$@" >/tmp/said 2>&1 || { echo "FAILED: $name"; cat /tmp/said; exit 1; }
  echo "$name"
}

fails_with() {
  wanted=$1
  shift
  status=0
  "$@" || status=$?
  [ "$status" -eq "$wanted" ] || { echo "status $status"; return 1; }
}

main_pid() { systemctl show --property=MainPID --value ferryd; }

is_user() { [ "$(ps -o user= -p "$(main_pid)")" = "$1" ]; }

answers() { ferry ping --retries 30; }

is_another() {
  [ "$(main_pid)" != "$before" ] || { echo "it is the same process"; return 1; }
  answers
}

is_restarted() {
  # systemd needs a moment to see the end of the process.
  until [ "$(systemctl show --property=NRestarts --value ferryd)" -gt 0 ]; do sleep 0.1; done
  is_another
}

written() { for name; do until [ -e "/var/log/ferryd/$name.log" ]; do sleep 0.1; done; done; }

# The operation is logged right after the client has heard of it.
has() { until grep -q "put.*\"$1\"" "/var/log/ferryd/$2"; do sleep 0.1; done; }

is_gone() { for path; do [ ! -e "$path" ] || { find "$path"; return 1; }; done; }

# A machine without an init system may have this program, which keeps services from being started.
rm -f /usr/sbin/policy-rc.d
export DEBIAN_FRONTEND=noninteractive
umask 077
head -c 3000000 /dev/urandom >/root/file

holds "they install" dpkg --install "$1"/ferry_*.deb "$1"/ferryd_*-1_*.deb
holds "the service runs" systemctl is-active ferryd
holds "it answers" answers
holds "it runs as its own user" is_user ferryd
holds "nobody does anything without a token" fails_with 3 ferry ls
runuser -u ferryd -- ferryd token new --token-file /var/lib/ferryd/tokens \
  --name trial --scope read,write >/root/token
export FERRY_TOKEN_FILE=/root/token
# The service looks for changes of the file twice a second.
until ferry ls 2>/dev/null; do sleep 0.1; done
holds "it stores a file" ferry put /root/file --as stored
holds "it returns the file" ferry get stored --out /root/returned
holds "the file is the same" cmp /root/file /root/returned
holds "the manual is there" man -w ferry-put ferryd ferryd-token ferry-protocol
holds "bash completes" bash -c '. /usr/share/bash-completion/completions/ferryd && complete -p ferryd'
before=$(main_pid)
kill -KILL "$before"
holds "it is restarted when it dies" is_restarted
echo 'no-such-option = 1' >>/etc/ferryd/ferryd.toml
holds "a wrong option is reported" fails_with 1 systemctl restart ferryd
holds "and not tried again" systemctl is-failed ferryd
sed -i 's/^no-such-option.*/quota = "1GiB"/' /etc/ferryd/ferryd.toml
holds "it starts again" systemctl restart ferryd

sed -i 's/^#\(log-file\|audit\) =/\1 =/' /etc/ferryd/ferryd.toml
holds "it starts with files for its log and its audit trail" systemctl restart ferryd
holds "it is told to store a file" ferry put /root/file --as before
holds "both are rotated" logrotate --force /etc/logrotate.d/ferryd
holds "it writes new ones" written ferryd audit
before=$(main_pid)
holds "it serves on" ferry put /root/file --as after
[ "$(main_pid)" = "$before" ]
for log in ferryd audit; do
  holds "what was before is in the old $log.log" has before "$log.log.1"
  holds "what is after that is in the new $log.log" has after "$log.log"
done
holds "they are rotated again" logrotate --force /etc/logrotate.d/ferryd
holds "the oldest are compressed" gzip --test /var/log/ferryd/ferryd.log.2.gz

before=$(main_pid)
holds "they are upgraded" dpkg --force-confold --install "$1"/ferryd_*-2_*.deb
holds "the new version runs" is_another
holds "the configuration is as it was" grep -qx 'quota = "1GiB"' /etc/ferryd/ferryd.toml
holds "the tokens and files are as they were" ferry get stored --out /root/again
holds "the server is removed" dpkg --remove ferryd
holds "it does not run" fails_with 3 systemctl is-active ferryd
holds "the configuration stays" test -e /etc/ferryd/ferryd.toml
holds "it is purged" dpkg --purge ferryd
holds "the configuration and the logs are gone" is_gone \
  /etc/ferryd /etc/logrotate.d/ferryd /var/cache/ferryd /var/log/ferryd /var/lib/ferryd/tokens
holds "the files stay" cmp /root/file /var/lib/ferryd/files/stored

rm /var/lib/ferryd/files/stored /var/lib/ferryd/files/before /var/lib/ferryd/files/after
unset FERRY_TOKEN_FILE
holds "it installs again" dpkg --install "$1"/ferryd_*-1_*.deb
holds "it answers again" answers
holds "both are purged" dpkg --purge ferryd ferry
holds "nothing is left" is_gone \
  /etc/ferryd /var/cache/ferryd /var/log/ferryd /var/lib/ferryd /usr/lib/ferry /usr/bin/ferry
