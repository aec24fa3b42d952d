// Ranks in a test: threads that meet. Together communicates between backends whose memory the host reaches, and sums in
// the order of the ranks.
#pragma once

#include <condition_variable>
#include <cstring>
#include <exception>
#include <mutex>
#include <thread>

#include "backend/communicator.h"
#include "core/error.h"
#include "data/batch.h"

namespace folio::test {

class Meeting {  // of all ranks, each of which shows the others a tensor
 public:
  explicit Meeting(int size) : shown_(size_t(size)) {}
  int size() const { return int(shown_.size()); }

  /// f(all tensors) once, by the last to arrive; then all go on.
  template <class F>
  void meet(int rank, Tensor t, F f) {
    std::unique_lock lock(mutex_);
    check(!left_, Fault::failed, "another rank has left");
    shown_[size_t(rank)] = t;
    if (++here_ == size()) {
      f(shown_);
      here_ = 0, ++round_;
      all_here_.notify_all();
      return;
    }
    all_here_.wait(lock, [&, now = round_] { return round_ != now || left_; });
    check(!left_, Fault::failed, "another rank has left");
  }
  void expect_all() {
    std::lock_guard const lock(mutex_);
    check(!left_, Fault::failed, "another rank has left");
  }
  void leave() noexcept {
    std::lock_guard const lock(mutex_);
    left_ = true;
    all_here_.notify_all();
  }

 private:
  std::vector<Tensor> shown_;
  std::mutex mutex_;
  std::condition_variable all_here_;
  int here_ = 0;
  int64_t round_ = 0;
  bool left_ = false;
};

class Together final : public Communicator {
 public:
  Together(std::shared_ptr<Meeting> meeting, int rank) : meeting_(std::move(meeting)), rank_(rank) {}
  int rank() const override { return rank_; }
  int size() const override { return meeting_->size(); }
  void barrier() override {
    meeting_->meet(rank_, {}, [](auto&) {});
  }
  bool agree(bool flag) override {
    double sum = flag;
    do_all_reduce({DType::f64, {1}, &sum, "flag"});
    return sum > 0;
  }
  void abort() noexcept override { meeting_->leave(); }
  void expect_all() const override { meeting_->expect_all(); }

 private:
  template <class T>
  static void sum(std::vector<Tensor>& all) {
    for (int64_t i = 0; i < all[0].size(); ++i) {
      T total = 0;
      for (Tensor const& t : all) total += t.as<T>()[i];
      for (Tensor const& t : all) t.as<T>()[i] = total;
    }
  }
  void do_all_reduce(Tensor t) override {
    meeting_->meet(rank_, t,
                   [](std::vector<Tensor>& all) { all[0].dtype == DType::f32 ? sum<float>(all) : sum<double>(all); });
  }
  void do_reduce_scatter(Tensor part, Tensor whole) override {
    do_all_reduce(whole);
    std::memcpy(part.data, static_cast<std::byte*>(whole.data) + size_t(rank_) * part.bytes(), part.bytes());
    barrier();
  }
  void do_all_gather(Tensor whole, Tensor part) override {
    std::memcpy(static_cast<std::byte*>(whole.data) + size_t(rank_) * part.bytes(), part.data, part.bytes());
    meeting_->meet(rank_, whole, [n = part.bytes()](std::vector<Tensor>& all) {
      for (size_t from = 0; from < all.size(); ++from)
        for (Tensor const& to : all)
          std::memmove(static_cast<std::byte*>(to.data) + from * n, static_cast<std::byte*>(all[from].data) + from * n,
                       n);
    });
  }
  void do_broadcast(Tensor t, int root) override {
    meeting_->meet(rank_, t, [root](std::vector<Tensor>& all) {
      for (Tensor const& to : all) std::memmove(to.data, all[size_t(root)].data, to.bytes());
    });
  }

  std::shared_ptr<Meeting> meeting_;
  int rank_;
};

inline std::vector<std::unique_ptr<Communicator>> together(int ranks) {
  auto const meeting = std::make_shared<Meeting>(ranks);
  std::vector<std::unique_ptr<Communicator>> out;
  for (int r = 0; r < ranks; ++r) out.push_back(std::make_unique<Together>(meeting, r));
  return out;
}

/// f(rank) on a thread each; throws what the first rank that failed threw.
template <class F>
void on_ranks(int ranks, F f) {
  std::vector<std::exception_ptr> errors(static_cast<size_t>(ranks));
  {
    std::vector<std::jthread> threads;
    for (int r = 0; r < ranks; ++r)
      threads.emplace_back([&, r] {
        try {
          f(r);
        } catch (...) {
          errors[size_t(r)] = std::current_exception();
        }
      });
  }
  for (std::exception_ptr const& e : errors)
    if (e) std::rethrow_exception(e);
}

/// A rank's share: of each micro-batch of B sequences the rank-th B/ranks; the denominator stays that of all.
inline data::HostBatch share(data::HostBatch const& all, int64_t accumulate, int rank, int ranks) {
  data::HostBatch own;
  own.total_weight = all.total_weight;
  int64_t const B = int64_t(all.sequences.size()) / accumulate, T = int64_t(all.tokens.size()) / (B * accumulate);
  for (int64_t a = 0; a < accumulate; ++a)
    for (int64_t b = B * rank / ranks; b < B * (rank + 1) / ranks; ++b) {
      int64_t const row = a * B + b;
      own.sequences.push_back(all.sequences[size_t(row)]);
      auto const copy = [&](auto& to, auto const& from) {
        to.insert(to.end(), from.begin() + row * T, from.begin() + (row + 1) * T);
      };
      copy(own.tokens, all.tokens), copy(own.targets, all.targets), copy(own.token_weights, all.token_weights);
    }
  return own;
}

}  // namespace folio::test
