"""What every page tells the browser to refuse."""

from __future__ import annotations

#: Of the empty text, and of the style attributes that plotly.js writes: see `tradeoff.web`.
PLOTLY_STYLES = (
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    # Of maps, which nobody draws here.
    "ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o=",
    # Of the exponents of powers of ten.
    "S+l+cz1wXqs2B0FcjqqT7NvjwGmhD1UjJswXjlSkj0s=",
    # Of a heat map, which is drawn as bricks.
    "AR/cKIZjWPcPmBUPDA6oti9XBiTbJvz0Cro2J1VzzS8=",
)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-hashes' " + " ".join(f"'sha256-{h}'" for h in PLOTLY_STYLES),
        # plotly.js makes a picture of a figure by way of these.
        "img-src 'self' data: blob:",
        "connect-src 'self'",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    # Not no-referrer: then forms would come with `Origin: null`.
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # What was on a page is gone when its reader signs out.
    "Cache-Control": "no-store",
}
