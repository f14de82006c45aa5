"""Third-party files that the report carries inside itself, unchanged, so that it opens without a network.

uPlot 1.6.32 (MIT, ``LICENSE.uplot``): ``dist/uPlot.iife.min.js`` and ``dist/uPlot.min.css`` of its npm
package, under shorter names. The dashboard serves the same files.
"""

SHA256 = {
    "uplot.min.js": "19c8d4c6ad88929a79f4ae49d6f7161566dfd0ba3d15cc495e974f787eb78f1f",
    "uplot.min.css": "df630c6a8d6f8eeaff264b50f73ce5b114f646ffd9a0bb74f049b0a00135fa04",
    "LICENSE.uplot": "8f989229699b4fe2f1a0432d0e9edc338a8a911e250e2d1b01ecd770a5f5b1bd",
}
"""Of the files as the package has them; a test holds them equal."""
