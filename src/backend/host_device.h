// FOLIO_HOST_DEVICE marks what a backend's host code and its kernels both call, so that it is written once.
#pragma once

#ifdef __CUDACC__
#define FOLIO_HOST_DEVICE __host__ __device__
#else
#define FOLIO_HOST_DEVICE
#endif
