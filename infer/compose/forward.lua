-- Sends every CT series to cacseg once no further image has come for "StableAge" seconds, as one job of Orthanc.
-- Results that come back are of other modalities, so nothing goes round in a circle.
function OnStableSeries(seriesId, tags, metadata)
  if tags['Modality'] == 'CT' then
    RestApiPost('/modalities/cacseg/store', DumpJson({ Resources = { seriesId }, Synchronous = false }, true))
  end
end
