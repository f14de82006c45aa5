"""Hidden Markov models of the market's regime: fitted here, filtered in `strategies.regime`.

    fit = fit_hmm(rows, HmmSettings(num_states=3), columns=("log_return_1", "volatility_21"))
    fit.params.save(path)                                  # what the strategy's regime.params_path names
    refit = fit_hmm(newer_rows, settings, previous=fit.params)   # keeps the meaning of every state's number

A smoothed probability has seen the future; none leaves this package. What leaves are parameters.
"""

from ml.hmm.fitting import HmmFit, fit_hierarchical_hmm, fit_hmm
from ml.hmm.gaussians import Covariance
from ml.hmm.labels import agreement
from ml.hmm.search import ConvergenceError
from ml.hmm.settings import HmmSettings

__all__ = [
    "ConvergenceError",
    "Covariance",
    "HmmFit",
    "HmmSettings",
    "agreement",
    "fit_hierarchical_hmm",
    "fit_hmm",
]
