"""Downloads a torrent with libtorrent, from its web seeds alone: torrent.py FILE FOLDER SECONDS

Exits 0 once every piece is there and right, else 1 with the reason on standard error. Talks to 127.0.0.1 and to nothing
else: DHT, LSD, UPnP, NAT-PMP, peer exchange and incoming connections are off, and a torrent with trackers, or with a web
seed elsewhere, is refused.
"""

import sys
import time

import libtorrent as lt


def main(torrent, folder, seconds):
    info = lt.torrent_info(torrent)
    seeds = [seed["url"] for seed in info.web_seeds()]
    if list(info.trackers()) or not seeds or not all(url.startswith("http://127.0.0.1:") for url in seeds):
        return f"not from this machine alone: {seeds}"
    session = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "outgoing_interfaces": "127.0.0.1",
            "enable_dht": False,
            "dht_bootstrap_nodes": "",
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_incoming_tcp": False,
            "enable_incoming_utp": False,
            "enable_outgoing_utp": False,
            "urlseed_wait_retry": 1,
            "alert_mask": lt.alert.category_t.error_notification
            | lt.alert.category_t.status_notification
            | lt.alert.category_t.peer_notification,
        }
    )
    params = lt.add_torrent_params()
    params.ti = info
    params.save_path = folder
    params.flags = lt.torrent_flags.disable_dht | lt.torrent_flags.disable_lsd | lt.torrent_flags.disable_pex
    handle = session.add_torrent(params)
    end = time.monotonic() + seconds
    said = []
    while time.monotonic() < end:
        session.wait_for_alert(200)
        for alert in session.pop_alerts():
            said.append(f"{alert.what()}: {alert.message()}")
            if isinstance(alert, (lt.hash_failed_alert, lt.file_error_alert, lt.torrent_error_alert)):
                return said[-1]
        if handle.status().is_seeding:
            handle.flush_cache()
            return None
    return f"not done after {seconds} s: {handle.status().state}\n" + "\n".join(said[-20:])


if __name__ == "__main__":
    if sys.argv[1:] == ["--version"]:
        print(lt.__version__)
        sys.exit(0)
    problem = main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
    if problem:
        print(problem, file=sys.stderr)
        sys.exit(1)
