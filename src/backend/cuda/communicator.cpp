// NCCL, opened when the first communicator is asked for: a machine of one GPU need not have it.
#include "backend/cuda/communicator.h"

#include <dlfcn.h>
#include <nccl.h>

#include <atomic>
#include <cstdlib>

#include "backend/cuda/cuda.h"

namespace folio::cuda {
namespace {

struct Nccl {  // the functions of libnccl.so.2 that are called
  decltype(&ncclGetErrorString) get_error_string;
  decltype(&ncclCommInitAll) init_all;
  decltype(&ncclCommDestroy) destroy;
  decltype(&ncclCommAbort) abort;
  decltype(&ncclAllReduce) all_reduce;
  decltype(&ncclReduceScatter) reduce_scatter;
  decltype(&ncclAllGather) all_gather;
  decltype(&ncclBroadcast) broadcast;

  void expect(ncclResult_t result, char const* op) const {
    check(result == ncclSuccess, Fault::device, "{}: NCCL says: {}", op, get_error_string(result));
  }
};

Nccl open_nccl() {
  // Sums inside NVLink's switches have an order of their own and need a fabric that virtual machines often lack.
  setenv("NCCL_NVLS_ENABLE", "0", 0);
  void* const library = dlopen("libnccl.so.2", RTLD_NOW | RTLD_LOCAL);
  check(
      library, Fault::device,
      "several GPUs are joined by NCCL, and its library cannot be opened: {}; install libnccl2, or name its folder in "
      "LD_LIBRARY_PATH",
      library ? "" : dlerror());
  Nccl n;
  auto const find = [&](auto& function, char const* name) {
    function = reinterpret_cast<std::remove_reference_t<decltype(function)>>(dlsym(library, name));
    check(function, Fault::device, "libnccl.so.2 has no {}: it is too old; install NCCL 2.20 or later", name);
  };
  find(n.get_error_string, "ncclGetErrorString");
  find(n.init_all, "ncclCommInitAll"), find(n.destroy, "ncclCommDestroy"), find(n.abort, "ncclCommAbort");
  find(n.all_reduce, "ncclAllReduce"), find(n.reduce_scatter, "ncclReduceScatter");
  find(n.all_gather, "ncclAllGather"), find(n.broadcast, "ncclBroadcast");
  return n;
}
Nccl const& nccl() {
  static Nccl const opened = open_nccl();
  return opened;
}

ncclDataType_t type_of(Tensor const& t) {
  switch (t.dtype) {
    case DType::f32:
      return ncclFloat32;
    case DType::f64:
      return ncclFloat64;
    case DType::bf16:
      return ncclBfloat16;
    case DType::i32:
      return ncclInt32;
    case DType::i64:
      return ncclInt64;
    case DType::u8:
      return ncclUint8;
    default:
      fail(Fault::bug, "{}: {} cannot be sent between GPUs", t.label, name_of(t.dtype));
  }
}

class Group {  // the ranks of one machine, in one process
 public:
  explicit Group(std::vector<int> const& devices) : comms_(devices.size()) {
    nccl().expect(nccl().init_all(comms_.data(), int(devices.size()), devices.data()), "joining the GPUs");
  }
  ~Group() {
    if (!left_)
      for (ncclComm_t const c : comms_) (void)nccl().destroy(c);
  }
  Group(Group const&) = delete;

  ncclComm_t of(int rank) const {
    expect_all();
    return comms_[size_t(rank)];
  }
  int size() const { return int(comms_.size()); }
  void expect_all() const { check(!left_, Fault::failed, "another rank has left: what went wrong there ends the run"); }
  // Every rank's calls end, also those that wait for others. NCCL waits here until no graph refers to a rank any more:
  // the others let go of theirs when expect_all tells them, so no lock is held.
  void leave() noexcept {
    if (left_.exchange(true)) return;
    for (ncclComm_t const c : comms_) (void)nccl().abort(c);
  }

 private:
  std::vector<ncclComm_t> comms_;
  std::atomic<bool> left_ = false;
};

class Rank final : public Communicator {
 public:
  Rank(std::shared_ptr<Group> group, int rank, Cuda& backend)
      : group_(std::move(group)), rank_(rank), backend_(backend), flag_{DType::i32, {1}, backend.acquire(4), "flag"} {}
  ~Rank() override { backend_.release(flag_.data); }

  int rank() const override { return rank_; }
  int size() const override { return group_->size(); }
  void barrier() override { (void)agree(false); }
  bool agree(bool flag) override {
    int32_t value = flag;
    backend_.upload(flag_, &value);
    expect(nccl().all_reduce(flag_.data, flag_.data, 1, ncclInt32, ncclMax, group_->of(rank_), backend_.stream()),
           "agree");
    backend_.download(&value, flag_);
    expect_all();
    return value != 0;
  }
  void abort() noexcept override { group_->leave(); }
  void expect_all() const override { group_->expect_all(); }

 private:
  void do_all_reduce(Tensor t) override {
    expect(
        nccl().all_reduce(t.data, t.data, size_t(t.size()), type_of(t), ncclSum, group_->of(rank_), backend_.stream()),
        "all_reduce");
  }
  void do_reduce_scatter(Tensor part, Tensor whole) override {
    expect(nccl().reduce_scatter(whole.data, part.data, size_t(part.size()), type_of(part), ncclSum, group_->of(rank_),
                                 backend_.stream()),
           "reduce_scatter");
  }
  void do_all_gather(Tensor whole, Tensor part) override {
    expect(nccl().all_gather(part.data, whole.data, size_t(part.size()), type_of(part), group_->of(rank_),
                             backend_.stream()),
           "all_gather");
  }
  void do_broadcast(Tensor t, int root) override {
    expect(nccl().broadcast(t.data, t.data, size_t(t.size()), type_of(t), root, group_->of(rank_), backend_.stream()),
           "broadcast");
  }
  static void expect(ncclResult_t result, char const* op) { nccl().expect(result, op); }

  std::shared_ptr<Group> group_;
  int rank_;
  Cuda& backend_;
  Tensor flag_;  // (1) i32
};

}  // namespace

std::vector<std::unique_ptr<Communicator>> make_nccl(std::span<Backend* const> backends) {
  std::vector<Cuda*> ranks;
  std::vector<int> devices;
  for (Backend* const b : backends) {
    ranks.push_back(dynamic_cast<Cuda*>(b));
    check(ranks.back(), "make_nccl: a backend that is not cuda's");
    check(std::ranges::find(devices, ranks.back()->device()) == devices.end(), "make_nccl: two backends of GPU {}",
          ranks.back()->device());
    devices.push_back(ranks.back()->device());
  }
  auto const group = std::make_shared<Group>(devices);
  std::vector<std::unique_ptr<Communicator>> out;
  for (size_t r = 0; r < ranks.size(); ++r) out.push_back(std::make_unique<Rank>(group, int(r), *ranks[r]));
  return out;
}

}  // namespace folio::cuda
