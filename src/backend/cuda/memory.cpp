// Memory, copies, errors, and the replaying of what was captured.
#include <cstdlib>
#include <cstring>

#include "backend/cuda/cuda.h"

namespace folio::cuda {
namespace {

class CudaGraph final : public Recording {
 public:
  void capture(cudaStream_t stream, std::function<void()> const& ops) {
    expect(cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal), "a step cannot be captured: {}");
    cudaGraph_t captured = nullptr;
    try {
      ops();
    } catch (...) {
      (void)cudaStreamEndCapture(stream, &captured);
      Graph const dropped(captured);
      throw;
    }
    expect(cudaStreamEndCapture(stream, &captured), "a step cannot be captured: {}");
    Graph const graph(captured);
    cudaGraphExec_t made = nullptr;
    expect(cudaGraphInstantiate(&made, graph.get(), 0), "the graph of a step cannot be made: {}");
    exec_.reset(made);
  }
  bool captured() const { return exec_ != nullptr; }
  void launch(cudaStream_t stream) const { expect(cudaGraphLaunch(exec_.get(), stream), "the graph of a step: {}"); }

 private:
  GraphExec exec_;
};

template <class Made, class Make>
Made made(Make make, char const* what) {
  typename Made::pointer handle = nullptr;
  expect(make(&handle), what);
  return Made(handle);
}

}  // namespace

void expect(cudaError_t error, Sentence what) {
  if (error == cudaSuccess) return;
  (void)cudaGetLastError();  // it is told here, and must not be found by the next launch
  fail(error == cudaErrorMemoryAllocation ? Fault::memory : Fault::device, what, cudaGetErrorString(error));
}
void expect(cublasStatus_t status, Sentence what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  fail(status == CUBLAS_STATUS_ALLOC_FAILED ? Fault::memory : Fault::device, what, cublasLtGetStatusString(status));
}

Staging::Staging()
    : memory_(made<PinnedMemory>([](void** p) { return cudaMallocHost(p, 2 * kHalf); }, "pinned host memory: {}")) {
  for (CudaEvent& e : read_)
    e = made<CudaEvent>([](cudaEvent_t* p) { return cudaEventCreateWithFlags(p, cudaEventDisableTiming); },
                        "a CUDA event: {}");
}

void Staging::upload(cudaStream_t stream, void* to, void const* from, size_t bytes) {
  auto* target = static_cast<std::byte*>(to);
  auto const* source = static_cast<std::byte const*>(from);
  while (bytes > 0) {
    if (used_ == kHalf) {
      expect(cudaEventRecord(read_[half_].get(), stream), "upload: {}");
      half_ = 1 - half_, used_ = 0;
      expect(cudaEventSynchronize(read_[half_].get()), "upload: {}");
    }
    size_t const n = std::min(bytes, kHalf - used_);
    std::byte* const between = static_cast<std::byte*>(memory_.get()) + size_t(half_) * kHalf + used_;
    std::memcpy(between, source, n);
    expect(cudaMemcpyAsync(target, between, n, cudaMemcpyHostToDevice, stream), "upload: {}");
    used_ += n, target += n, source += n, bytes -= n;
  }
}

Cuda::Cuda(CudaOptions const& options)
    : options_(options),
      poison_(std::getenv("FOLIO_POISON_MEMORY") != nullptr),
      stream_((use(), made<Stream>([](cudaStream_t* p) { return cudaStreamCreateWithFlags(p, cudaStreamNonBlocking); },
                                   "a CUDA stream: {}"))),
      products_(options.tf32),
      sums_(made<DeviceMemory>([](void** p) { return cudaMalloc(p, kNormParts * sizeof(ValueSums)); },
                               "GPU memory: {}")) {}

Cuda::~Cuda() { (void)cudaSetDevice(options_.device); }

void Cuda::use() const { expect(cudaSetDevice(options_.device), "the GPU cannot be used: {}"); }

void* Cuda::acquire(size_t bytes) {
  use();
  void* p = nullptr;
  size_t const whole = size_t(round_up(int64_t(std::max<size_t>(bytes, 1)), 256));
  if (cudaError_t const error = cudaMalloc(&p, whole); error == cudaErrorMemoryAllocation) {
    (void)cudaGetLastError();  // as expect does
    constexpr double kMiB = 1 << 20;
    fail(Fault::memory, "out of memory on the GPU: {:.1f} MiB asked for, {:.1f} MiB available", double(bytes) / kMiB,
         double(device_memory().free) / kMiB);
  } else expect(error, "GPU memory: {}");
  expect(cudaMemsetAsync(p, poison_ ? 0xff : 0, whole, stream()), "GPU memory: {}");
  return p;
}
void Cuda::release(void* p) noexcept { (void)cudaFree(p); }

MemoryOfDevice Cuda::device_memory() const {
  MemoryOfDevice memory;
  use();
  expect(cudaMemGetInfo(&memory.free, &memory.total), "the GPU's memory: {}");
  return memory;
}

void Cuda::do_upload(Tensor to, void const* from) { staging_.upload(stream(), to.data, from, to.bytes()); }
void Cuda::do_download(void* to, Tensor from) {
  expect(cudaMemcpyAsync(to, from.data, from.bytes(), cudaMemcpyDeviceToHost, stream()), "download: {}");
  expect(cudaStreamSynchronize(stream()), "the GPU stopped: {}");
}
void Cuda::do_copy(Tensor to, Tensor from) {
  expect(cudaMemcpyAsync(to.data, from.data, to.bytes(), cudaMemcpyDeviceToDevice, stream()), "copy: {}");
}
void Cuda::do_zero(Tensor t) { expect(cudaMemsetAsync(t.data, 0, t.bytes(), stream()), "zero: {}"); }

// The first call runs as it is: it loads kernels and chooses products, which a capture must not.
void Cuda::do_replay(std::unique_ptr<Recording>& recording, std::function<void()> const& ops) {
  if (!options_.graph) return ops();
  if (!recording) {
    ops();
    recording = std::make_unique<CudaGraph>();
    return;
  }
  auto& graph = static_cast<CudaGraph&>(*recording);
  if (!graph.captured()) graph.capture(stream(), ops);
  graph.launch(stream());
}

size_t Cuda::scratch_bytes(Limits const& l) const {
  check_type(Fault::value, l.dtype);
  return size_t(Room::kAlign + std::max({scratch_of_embedding(l), scratch_of_norm(l), scratch_of_linear(l),
                                         scratch_of_attention(l), scratch_of_classifier(l), scratch_of_muon(l)}));
}

}  // namespace folio::cuda
