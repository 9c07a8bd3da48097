"""Tests with many costly cases: the fast suite runs every so many of them, the long runs all.

Which cases run is fixed by their order, so that every process runs the same ones. Where one case costs much by itself, the test
is marked as slow in its own file.
"""

from __future__ import annotations

#: One case in so many, by file and test.
EVERY: dict[str, int] = {
    "test_averages.py::test_averages_leave_a_smaller_half_width_and_keep_the_promise": 2,
    "test_band.py::test_the_score_is_the_last_rejection_along_the_scaled_path": 2,
    "test_betting.py::test_upper_bound_covers": 2,
    "test_claims.py::test_bounds_cover_as_often_as_promised": 2,
    "test_conditional.py::test_grids_of_two_features_are_members_at_every_knot": 2,
    "test_conditional.py::test_the_mean_rate_under_conditional_queries_is_what_the_rank_says": 3,
    "test_conditional.py::test_weights_are_shares_of_leaves_split_between_neighbouring_knots": 3,
    "test_equal_bits.py::test_a_row_is_predicted_alone_as_among_others": 2,
    "test_equal_bits.py::test_losses_scales_and_laws_change_nothing": 2,
    "test_estimators.py::test_half_widths_are_ordered_across_losses": 3,
    "test_estimators.py::test_jobs_and_blocks_do_not_change_results": 2,
    "test_estimators.py::test_joint_properties_hold_in_every_feature_at_full_strength": 2,
    "test_estimators.py::test_rows_with_a_missing_constrained_value_are_returned_unchanged_and_counted": 2,
    "test_extension.py::test_two_points_of_a_line_are_in_order_if_a_knot_separates_them": 2,
    "test_forecast.py::test_every_method_is_near_on_an_exponential_tail": 2,
    "test_frames.py::test_a_pipeline_is_constrained_on_its_raw_columns": 2,
    "test_known_peaks.py::test_two_properties_of_order_hold_together": 3,
    "test_losses.py::test_the_expected_size_is_at_most_alpha": 2,
    "test_margins.py::test_no_delivered_probability_leaves_the_range_of_the_model": 2,
    "test_orbit_validity.py::test_a_rule_keeps_the_promise_though_it_fails_again_along_the_path": 2,
    "test_orbit_validity.py::test_the_mean_rate_is_what_the_rank_says": 2,
    "test_orbits.py::test_frames_with_words_in_a_pipeline": 2,
    "test_partitions.py::test_every_promise_is_the_same": 2,
    "test_planes.py::test_at_full_strength_every_rectangle_on_changed_planes_passes": 2,
    "test_query_laws.py::test_places_that_pass_their_paths_have_the_property_together": 2,
    "test_query_laws.py::test_the_mean_rate_is_what_the_rank_says": 2,
    "test_slices.py::test_parts_give_the_serial_answer_to_the_bit": 2,
    "test_surrogate.py::test_a_half_width_that_is_too_large_is_named": 3,
    "test_tree_repair.py::test_other_properties_walk_to_their_knots": 2,
    "test_unchanged.py::test_every_repair_is_of_one_model": 2,
    "test_validity.py::test_end_to_end_with_reference_rows": 2,
    "test_validity.py::test_several_queries_per_row_keep_the_promise_and_vary_less": 3,
    "test_validity.py::test_the_mean_rate_is_what_the_rank_says": 2,
    "test_validity.py::test_with_confidence_the_rate_is_exceeded_as_rarely_as_promised": 3,
    "test_vocabulary.py::test_the_delivered_function_keeps_its_promise": 2,
}
