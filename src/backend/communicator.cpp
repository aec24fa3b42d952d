#include "backend/communicator.h"

#include "core/error.h"

namespace folio {
namespace {

void summable(char const* op, Tensor const& t) {
  check(t.dtype == DType::f32 || t.dtype == DType::f64 || t.dtype == DType::c128,
        "{}: {} is {}; f32, f64 or c128 expected", op, t.label, name_of(t.dtype));
}
void part_of(char const* op, Tensor const& part, Tensor const& whole, int size) {
  check(part.dtype == whole.dtype && part.size() * size == whole.size(),
        "{}: {} {} {} of {} {} {} for {} ranks; expected one share a rank", op, part.label, name_of(part.dtype),
        part.shape, whole.label, name_of(whole.dtype), whole.shape, size);
}

}  // namespace

void Communicator::all_reduce(Tensor t) { summable("all_reduce", t), do_all_reduce(t); }
void Communicator::reduce_scatter(Tensor part, Tensor whole) {
  summable("reduce_scatter", whole), part_of("reduce_scatter", part, whole, size());
  do_reduce_scatter(part, whole);
}
void Communicator::all_gather(Tensor whole, Tensor part) {
  part_of("all_gather", part, whole, size());
  do_all_gather(whole, part);
}
void Communicator::broadcast(Tensor t, int root) {
  check(0 <= root && root < size(), "broadcast: root {} of {} ranks", root, size());
  do_broadcast(t, root);
}

void Single::do_reduce_scatter(Tensor part, Tensor whole) {
  if (part.data != whole.data) backend_.copy(part, whole.reshaped(part.shape));
}
void Single::do_all_gather(Tensor whole, Tensor part) {
  if (part.data != whole.data) backend_.copy(whole, part.reshaped(whole.shape));
}

}  // namespace folio
