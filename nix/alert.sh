# Raises or takes back the alert of one systemd unit: raise STATE UNIT, clear STATE UNIT.
# Plain shell, so that it still speaks when WarmCI itself cannot start. `raise` is called by OnFailure=, which tells
# the reason in MONITOR_SERVICE_RESULT and MONITOR_EXIT_STATUS (systemd.exec(5)).
set -eu
umask 077

action=$1
state=$2
unit=$(printf %s "$3" | tr -cd 'a-z0-9-' | cut -c 1-63)
file=$state/.alerts/$unit.json

case $action in
clear)
    # As ExecStopPost= it is called after a failure too.
    [ "${SERVICE_RESULT:-success}" = success ] || exit 0
    rm -f -- "$file"
    ;;
raise)
    word() { printf %s "${1:-unknown}" | tr -cd 'A-Za-z0-9-'; }
    message="$unit.service failed: $(word "${MONITOR_SERVICE_RESULT:-}"), $(word "${MONITOR_EXIT_CODE:-}") $(word "${MONITOR_EXIT_STATUS:-}")"
    json=$(printf '{"schema_version": 1, "subject": "%s", "message": "%s", "hint": "%s", "host": "%s", "since": "%s"}' \
        "$unit" "$message" "journalctl -u $unit.service" "$(uname -n | tr -cd 'A-Za-z0-9.-')" "$(date -u +%Y-%m-%dT%H:%M:%SZ)")
    # <3> is the priority "error" to the journal.
    echo "<3>alert: $message" >&2
    # The one that stands says the same: it keeps its time, and the webhook has heard of it.
    grep -qsF "\"message\": \"$message\"" "$file" && exit 0
    if [ -d "$state" ]; then
        # A full disk must not silence the webhook.
        { mkdir -p -- "$state/.alerts" &&
            printf '%s\n' "$json" >"$state/.alerts/.$unit.tmp" &&
            mv -f -- "$state/.alerts/.$unit.tmp" "$file"; } ||
            echo "<4>the alert could not be kept in $state/.alerts" >&2
    else
        echo "<4>there is no state directory $state yet: the alert is in this journal only" >&2
    fi
    url=$(cat -- "${CREDENTIALS_DIRECTORY:-/nonexistent}/warmci_alert_webhook" 2>/dev/null || echo none)
    case $url in
    http://* | https://*)
        # The URL is a secret: curl reads it from standard input, not from its arguments.
        printf 'url = "%s"\n' "$(printf %s "$url" | tr -d '\n"\\')" |
            curl --silent --output /dev/null --fail --max-time 10 --header 'Content-Type: application/json' \
                --data "$json" --config - ||
            echo "<4>the alert webhook did not take it (curl ended $?)" >&2
        ;;
    none) ;;
    *) echo "<4>the alert webhook is no http URL" >&2 ;;
    esac
    ;;
*)
    echo "usage: alert raise|clear STATE UNIT" >&2
    exit 2
    ;;
esac
