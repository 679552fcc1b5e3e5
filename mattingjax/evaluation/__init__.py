"""Compares predicted alphas with true ones: figures, tables, and pictures of the worst photos.

report = evaluate(predictor, records)
report.means['mad']
"""

from mattingjax.evaluation.comparison import EvaluationReport, Records, evaluate
from mattingjax.evaluation.options import EvaluationOptions, parse_size
from mattingjax.evaluation.report import (
    check_report,
    draw_worst,
    format_protocol,
    format_table,
    write_report,
)
from mattingjax.evaluation.run import Folders, evaluate_folders, report_folders

__all__ = [
    'EvaluationOptions',
    'EvaluationReport',
    'Folders',
    'Records',
    'check_report',
    'draw_worst',
    'evaluate',
    'evaluate_folders',
    'format_protocol',
    'format_table',
    'parse_size',
    'report_folders',
    'write_report',
]
