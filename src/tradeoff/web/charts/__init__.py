"""From numbers to figures of plotly.js, as plain dictionaries; no request, no row.

A state is told by shape as well as by colour, and colours are those of Okabe and Ito. They are
given for a light ground; `static/charts.js` puts the dark ground's in their place. Every point
carries the id of its observation as `customdata`, so that a click finds it in every figure.

Traces that need WebGL are not used: plotly.js compiles them from strings, which the dashboard's
policy forbids. (`tradeoff.client.plots` draws the same figures in notebooks, with WebGL.)
"""
