"""What every page tells the browser to refuse."""

from __future__ import annotations

#: SHA-256 of what plotly.js writes inline: an empty style (see `tradeoff.web`), how a heat map and
#: the exponents of powers of ten are shown, and what its maps look like, of which there are none.
PLOTLY_STYLES = (
    "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU=",
    "AR/cKIZjWPcPmBUPDA6oti9XBiTbJvz0Cro2J1VzzS8=",
    "S+l+cz1wXqs2B0FcjqqT7NvjwGmhD1UjJswXjlSkj0s=",
    "ji27qzEtxXZW+7dun6UwjHXJ18e6WAin1VvNtkzIE/o=",
)
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-hashes' "
        + " ".join(f"'sha256-{h}'" for h in PLOTLY_STYLES)
        + " 'report-sample'",
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
