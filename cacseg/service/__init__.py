"""The inference service: studies in by REST and DICOM, scored by worker processes, results out in every form.

    received file -> inbox -> study at rest -> queued job -> worker -> version of a result -> deliveries

Every noun has a file of its own. Nothing here is imported by the light install; ``cacseg serve`` asks for the
extra ``serve`` first.
"""
