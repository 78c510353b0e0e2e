"""Showing pages: the dashboard, rendered on the server, signed in by a cookie.

A page is a function of a `Visit` (who asks, in which transaction, with what query and form) and
gives an answer: a template with its context, a redirect, or data. It may import service, store
(plain reads), spec, fastapi and jinja2, and never the engine, SQL, or the wire of the API.
`routes` lists every page; `serving` opens the transaction and is the only thing that commits;
`auth` knows the cookie, the form token and the origin; `charts` turns numbers into figures and
knows neither request nor row.

No script and no style stands in a page, and the policy in `headers` says so to the browser: data
for scripts goes into `<script type="application/json">` by the filter `tojson`. plotly.js puts an
empty `<style>` element into the page and fills it by other means, so the empty style is allowed
by its hash, and so is what else it writes inline (`headers`). It takes a little HTML in its texts:
whatever a user named goes there with `<` as `&lt;`, or the browser reports a violation. Of its
traces those that need WebGL (`scattergl`, `parcoords`, `splom`) stay blank in many a browser.

What surprised us: under `Referrer-Policy: no-referrer` a browser sends `Origin: null` with the
forms of the very same page, so no form could be checked; `same-origin` tells others as little.
"""
