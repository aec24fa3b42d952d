// Ranks of one run. Each has a backend of its own on a thread of its own, all weights, and a share of the global batch;
// a Communicator is one rank's end of what joins them. Every rank makes the same calls in the same order with tensors
// of the same shapes in its own backend's memory. Those on tensors are queued like ops: they return before they are
// done, and can be captured (Backend::replay).
#pragma once

#include <memory>
#include <span>
#include <vector>

#include "backend/backend.h"

namespace folio {

class FOLIO_API Communicator {
 public:
  virtual ~Communicator() = default;
  virtual int rank() const = 0;
  virtual int size() const = 0;

  // What is summed is wide (backend.h). The order of a sum is the implementation's.
  void all_reduce(Tensor);                         // each rank's becomes the sum of all
  void reduce_scatter(Tensor part, Tensor whole);  // part (n) = the rank-th n elements of the sum of whole (size · n)
  void all_gather(Tensor whole, Tensor part);      // whole (size · n) = the parts (n), rank by rank
  void broadcast(Tensor, int root);                // each rank's becomes root's

  /// Throws Fault::failed where another rank has left: what was summed since then is not whole.
  virtual void expect_all() const = 0;

  // These wait, and throw the same.
  virtual void barrier() = 0;         // until every rank is here
  virtual bool agree(bool flag) = 0;  // whether any rank says so
  virtual void abort() noexcept = 0;  // this rank leaves: what waits for it ends with an error

 private:
  virtual void do_all_reduce(Tensor) = 0;
  virtual void do_reduce_scatter(Tensor part, Tensor whole) = 0;
  virtual void do_all_gather(Tensor whole, Tensor part) = 0;
  virtual void do_broadcast(Tensor, int root) = 0;
};

class FOLIO_API Single final : public Communicator {  // the only rank
 public:
  explicit Single(Backend& backend) : backend_(backend) {}
  int rank() const override { return 0; }
  int size() const override { return 1; }
  void barrier() override {}
  bool agree(bool flag) override { return flag; }
  void abort() noexcept override {}
  void expect_all() const override {}

 private:
  void do_all_reduce(Tensor) override {}
  void do_reduce_scatter(Tensor part, Tensor whole) override;
  void do_all_gather(Tensor whole, Tensor part) override;
  void do_broadcast(Tensor, int) override {}

  Backend& backend_;
};

/// One rank for each backend of make_cuda_backend, each of another GPU of this machine, joined by NCCL. Sums of two
/// ranks do not depend on order; of more, NCCL's choice for the machine decides. Throws Fault::device where NCCL is
/// missing.
FOLIO_API std::vector<std::unique_ptr<Communicator>> make_nccl(std::span<Backend* const>);

}  // namespace folio
