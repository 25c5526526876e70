"""What goes back into the clinic: one result, one writer per form."""

from cacseg.report.forms import DEFAULT_FORMATS, FORMS, FROM_RESULT
from cacseg.report.inputs import ReportInput, Stamp
from cacseg.report.json_form import result_from_json
from cacseg.report.pictures import Pictures
from cacseg.report.verification import Observer, person_name
from cacseg.report.write import Tables, Written, read_result, write_all, write_refused

__all__ = [
    "DEFAULT_FORMATS",
    "FORMS",
    "FROM_RESULT",
    "Observer",
    "Pictures",
    "ReportInput",
    "Stamp",
    "Tables",
    "Written",
    "person_name",
    "read_result",
    "result_from_json",
    "write_all",
    "write_refused",
]
