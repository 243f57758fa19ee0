/* SPDX-License-Identifier: GPL-2.0-only OR MIT */
/* Service: is this address ours, and which service has this port? Perfect hashes made by the daemon: one probe each. */
#ifndef SLUICE_SERVICE_H
#define SLUICE_SERVICE_H

stage struct sl_front *active_front(void)
{
	return &fronts[control.active & 1];
}

/* The id of an IPv4 address; 0: not ours. */
stage __u32 find_address4(struct sl_front *front, __u32 address)
{
	struct sl_address4 *place =
		&front->address4[sl_place(address, front->multiplier4, front->displacement4, SL_ADDRESS_BITS)];

	return likely(place->address == address) ? place->id : 0;
}

/* The id of an IPv6 address; 0: not ours. */
stage __u32 find_address6(struct sl_front *front, __u64 high, __u64 low)
{
	struct sl_address6 *place = &front->address6[sl_place(sl_fold6(high, low), front->multiplier6,
							      front->displacement6, SL_ADDRESS_BITS)];

	return likely(place->high == high && place->low == low) ? place->id : 0;
}

stage struct sl_service *find_service(struct sl_front *front, __u32 address_id, __u8 protocol, __u32 ports)
{
	__u64 key = SL_SERVICE_KEY(address_id, protocol, ports >> 16);
	struct sl_service *service = &front->service[sl_place(key, front->service_multiplier,
							      front->service_displacement, SL_SERVICE_BITS)];

	return likely(service->key == key) ? service : 0;
}

#endif
