"""Third-party files that the report carries inside itself, unchanged, so that it opens without a network.

uPlot 1.6.32 (MIT, ``LICENSE.uplot``): ``dist/uPlot.iife.min.js`` and ``dist/uPlot.min.css`` of its npm
package, under shorter names.
"""
