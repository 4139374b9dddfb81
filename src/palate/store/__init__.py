"""What must not be lost: the label log (:mod:`palate.store.sqlite_log`) and the model folder
(:mod:`palate.store.model_folder.folder`).

Import the module that is meant. The log needs the standard library only; the folder needs Polars and PyArrow.
"""
