# The headers that are installed: what one needs to load a model, encode and decode, generate, evaluate, take a training
# step and read data. docs/library.md introduces them. They include one another and the standard library only.
set(folio_public_headers
  core/api.h core/arena.h core/dtype.h core/fault.h core/fields.h core/path.h core/tensor.h
  backend/backend.h backend/communicator.h backend/host_device.h backend/step_state.h backend/weight.h
  text/tokenizer.h
  model/activations.h model/checkpoint.h model/config.h model/evaluate.h model/gpt2.h model/loaded_weights.h
  model/sizes.h model/weights.h
  data/batch.h data/batcher.h data/dataset.h data/shard.h data/windows.h
  generate/engine.h generate/options.h
  train/groups.h train/schedule.h train/trainer.h)
