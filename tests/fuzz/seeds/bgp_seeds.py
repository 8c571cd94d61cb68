#!/usr/bin/python3
"""Makes the seeds of the BGP fuzz targets from tests/data/bgp; run from the root of the project."""
import glob, json, os, struct

S = "tests/fuzz/seeds/"
for t in ("bgp_update", "bgp_open", "bgp_stream"):
    os.makedirs(S + t, exist_ok=True)


def put(target, name, data):
    with open(f"{S}{target}/{name}", "wb") as f:
        f.write(data)


def open_body(asn=65002, ident=0x0A000002):
    caps = bytes.fromhex("010400010001" "010400020001" "0200" "0506000100010002" "0600" "4600") + b"\x41\x04" + struct.pack("!I", asn)
    return struct.pack("!BHHIB", 4, min(asn, 23456) if asn > 65535 else asn, 9, ident, len(caps) + 2) + bytes([2, len(caps)]) + caps


def script(*updates):
    """Accept, OPEN, KEEPALIVE, then UPDATEs on the accepted side."""
    o = open_body()
    out = b"\x01\x0a" + b"\x81" + bytes([len(o)]) + o + b"\x84\x00"
    for u in updates:
        out += b"\x86" + struct.pack("!H", len(u)) + u
    return out + b"\x88\xff\x07\x10\x00"


n = 0
for path in sorted(glob.glob("tests/data/bgp/hex/*.hex")):
    base = os.path.basename(path)[:-4]
    for i, line in enumerate(open(path)):
        line = line.split("#")[0].strip()
        if not line:
            continue
        b = bytes.fromhex(line)
        if len(b) < 19 or len(b) > 1500 or i > 4:
            continue
        kind = b[18]
        if kind == 2:
            put("bgp_update", f"{base}-{i}", bytes([0x37]) + b[19:])
            put("bgp_stream", f"{base}-{i}", script(b[19:]))
        elif kind in (1, 3):
            put("bgp_open", f"{base}-{i}", b[19:])
        elif kind == 5:
            put("bgp_open", f"{base}-{i}", b)
        n += 1
origin, path_, hop, net = "40010100", "40020602010000fdea", "4003040a000002", "18c00002"
for c in json.load(open("tests/data/bgp/vectors/frr-rfc7606.json")):
    kind = int(c["hex"][2:4], 16) if c["hex"] else 0
    base = "".join(h for k, h in ((1, origin), (2, path_), (3, hop)) if k != kind) + c["hex"]
    put("bgp_update", "rfc7606-" + c["name"], b"\x31" + struct.pack("!HH", 0, len(base) // 2) + bytes.fromhex(base + net))
for c in json.load(open("tests/data/bgp/vectors/frr-mp-attr.json")):
    kind = "0f" if "unreach" in c["set"] else "0e"
    a = "80" + kind + "%02x" % (len(c["hex"]) // 2) + c["hex"] + origin + path_
    put("bgp_update", "mp-" + c["name"], b"\x33" + struct.pack("!HH", 0, len(a) // 2) + bytes.fromhex(a))
for c in json.load(open("tests/data/bgp/vectors/frr-capability.json")):
    v = bytes.fromhex(c["hex"])
    v = v if c["set"] == "opt_params" else bytes([2, len(v)]) + v
    put("bgp_open", "cap-" + c["name"].replace("/", "_"), bytes.fromhex("04fdea005a0a000002") + bytes([len(v)]) + v)
good = bytes.fromhex("00000014" + origin + path_ + hop + net)
put("bgp_stream", "made-session", script(good, bytes.fromhex("0000" "0000"), bytes.fromhex("000418c000020000")))
put("bgp_stream", "made-collision", b"\x01\x09\x0a" + b"\x01" + bytes([len(open_body())]) + open_body() + b"\x81" + bytes([len(open_body())]) + open_body() + b"\x04\x00\x84\x00")
put("bgp_stream", "made-refresh", script() + b"\x85\x04\x00\x01\x00\x01" * 3 + b"\x07\xff\xff\x0c\x1c")
# up, closed by the peer, back within its restart time, End-of-RIB, BFD down
put("bgp_stream", "made-restart", bytes.fromhex(
    "000a812a04fdea00090a00000220021e01040001000101040002000141040000fdea400a401e000101800002018084000713888b0713880a"
    "812a04fdea00090a00000220021e01040001000101040002000141040000fdea400a401e00010180000201808400820400000000071388ad"))
for t in ("bgp_update", "bgp_open", "bgp_stream"):
    with open(f"{S}{t}/SOURCES", "w") as f:
        f.write("Made by tests/fuzz/seeds/bgp_seeds.py from tests/data/bgp, whose SOURCES names projects and licences;\n"
                "names begin with the file of origin; rfc7606-, mp- and cap- are of FRRouting (GPL-2.0-or-later, ISC; octets only); made- are ours.\n")
